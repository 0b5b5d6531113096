# Makes good what was lost on the way, and removes what nobody needs any more.
module "sweep" {
  source     = "./modules/function"
  function   = "sweep"
  deployment = local.deployment
  invokers   = { scheduler = google_service_account.caller["sweep"].member }

  # One sweep takes on at most 200 of each sort; two at once do no harm, the second finds
  # the first at work and says so.
  memory_mib      = 512
  concurrency     = local.pools.sweep.concurrency
  timeout_seconds = 600
  max_instances   = local.pools.sweep.instances

  live    = true
  objects = [""] # all folders have something to be removed
  queues  = ["generate", "ingest", "render"]

  environment = merge(
    local.settings.every,
    local.settings.database.sweep,
    local.settings.bucket,
    local.settings.budget,
    local.settings.live,
    local.settings.mail,
    local.settings.private.sweep,
    local.settings.queue,
    { GENERATE_URL = local.urls.generate, INGEST_URL = local.urls.ingest, RENDER_URL = local.urls.render },
  )
  secrets = local.secrets.mail
}

# A run that fails is tried twice at once: what it makes good should not wait for the next.
resource "google_cloud_scheduler_job" "sweep" {
  count = module.sweep.service == null ? 0 : 1

  name             = "${var.name}-sweep"
  description      = "Makes good what was lost in Lectern (${var.name})"
  region           = var.region
  schedule         = "*/${var.sweep_minutes} * * * *"
  time_zone        = "Etc/UTC"
  attempt_deadline = "600s" # as long as the function may take

  retry_config {
    retry_count          = 2
    min_backoff_duration = "10s"
    max_backoff_duration = "60s"
  }

  http_target {
    http_method = "POST"
    uri         = "${local.urls.sweep}/"
    oidc_token {
      service_account_email = google_service_account.caller["sweep"].email
      audience              = local.urls.sweep
    }
  }

  depends_on = [google_project_service.api, module.sweep]
}
