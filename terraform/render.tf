# One lesson → one video. It lies in /tmp while it is made, which is memory.
module "render" {
  source     = "./modules/function"
  function   = "render"
  deployment = local.deployment
  invokers   = { queue = google_service_account.caller["render"].member }

  cpu             = 2
  memory_mib      = 4096
  scratch_mib     = 2048
  concurrency     = 1
  timeout_seconds = 1800 # Cloud Tasks waits no longer
  max_instances   = local.pools.render.instances

  environment = merge(
    local.settings.every,
    local.settings.database.render,
    local.settings.worker.render,
    local.settings.budget,
    local.settings.speech,
    { BUCKET = google_storage_bucket.media.name, RENDER_URL = local.urls.render },
  )
  secrets = local.secrets.speech
}
