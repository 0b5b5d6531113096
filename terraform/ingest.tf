# One uploaded document → text and passages.
module "ingest" {
  source     = "./modules/function"
  function   = "ingest"
  deployment = local.deployment
  invokers   = { queue = google_service_account.caller["ingest"].member }

  # The process that parses may take 384 MiB, Poppler as much again and 256 MiB, and the
  # document lies in /tmp, 50 MB: one at a time. Reading ends after a minute by itself; the
  # rest is for a slow bucket, and for the runner's 25 minutes to end first (see generate).
  memory_mib      = 2048
  scratch_mib     = 256
  concurrency     = local.pools.ingest.concurrency
  timeout_seconds = 1800
  max_instances   = local.pools.ingest.instances

  live    = true
  objects = ["sources/"]
  queues  = ["ingest"] # a step that failed for now

  environment = merge(
    local.settings.every,
    local.settings.database.ingest,
    local.settings.bucket,
    local.settings.live,
    local.settings.private.ingest,
    local.settings.queue,
    { INGEST_URL = local.urls.ingest },
  )
}
