# Courses, their sources and jobs, and how far these are.
module "courses" {
  source     = "./modules/function"
  function   = "courses"
  deployment = local.deployment
  invokers   = { everyone = "allUsers" }
  ingress    = "INGRESS_TRAFFIC_ALL"

  # Whoever watches a job holds a request open, and one of the 400 streams that an instance
  # has to Firestore. Idle it takes 45 MB, and hashing the secrets of programs 64 MiB.
  memory_mib      = 512
  concurrency     = local.pools.courses.concurrency
  timeout_seconds = 3600 # of a stream
  min_instances   = lookup(var.warm, "courses", 0)
  max_instances   = local.pools.courses.instances

  # It signs the addresses by which people send documents and see films, and removes both
  # with their course.
  live    = true
  objects = ["sources/", "videos/"]
  queues  = ["generate", "ingest", "render"]
  signs   = true

  environment = merge(
    local.settings.every,
    local.settings.database.courses,
    local.settings.bucket,
    local.settings.budget,
    local.settings.front,
    local.settings.job_limits,
    local.settings.live,
    local.settings.pages,
    local.settings.queue,
    { GENERATE_URL = local.urls.generate, INGEST_URL = local.urls.ingest, RENDER_URL = local.urls.render },
  )
  secrets = merge(local.secrets.cookies, local.secrets.gateway)

  depends_on = [google_secret_manager_secret_version.made] # no revision starts with a secret that has no version
}
