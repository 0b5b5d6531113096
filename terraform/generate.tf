# The agents that write a course: each task is one step.
module "generate" {
  source     = "./modules/function"
  function   = "generate"
  deployment = local.deployment
  invokers   = { queue = google_service_account.caller["generate"].member }

  # A step waits for a model most of its time, so that eight share an instance. It is given
  # up after 25 minutes (internal/job); Cloud Run must not end it first: what the platform
  # cuts counts as no failure, and would be tried for ever.
  memory_mib      = 512
  concurrency     = local.pools.generate.concurrency
  timeout_seconds = 1800 # Cloud Tasks waits no longer
  max_instances   = local.pools.generate.instances

  live   = true
  queues = ["generate"] # a plan sends its lessons

  environment = merge(
    local.settings.every,
    local.settings.database.generate,
    local.settings.budget,
    local.settings.live,
    local.settings.model,
    local.settings.private.generate,
    local.settings.queue,
    { GENERATE_URL = local.urls.generate },
  )
  secrets = local.secrets.model
}
