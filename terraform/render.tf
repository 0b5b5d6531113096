# One lesson → one video.
module "render" {
  source     = "./modules/function"
  function   = "render"
  deployment = local.deployment
  invokers   = { queue = google_service_account.caller["render"].member }

  # FFmpeg takes all processors that there are, so that one film at a time is quickest; its
  # largest encoder holds 123 MB. The film lies in /tmp while it is made, which is memory:
  # 10 MB a minute and its parts. 2 GiB for each processor are what its price counts
  # (cloud-run in internal/budget/prices.json). Its time is the runner's, as generate's.
  cpu             = 2
  memory_mib      = 4096
  scratch_mib     = 2048
  concurrency     = local.pools.render.concurrency
  timeout_seconds = 1800
  max_instances   = local.pools.render.instances

  live    = true
  objects = ["segments/", "videos/"]
  queues  = ["render"] # a course's job sends the next lesson

  environment = merge(
    local.settings.every,
    local.settings.database.render,
    local.settings.bucket,
    local.settings.budget,
    local.settings.live,
    local.settings.private.render,
    local.settings.queue,
    local.settings.speech,
    { RENDER_URL = local.urls.render },
  )
  secrets = local.secrets.speech
}
