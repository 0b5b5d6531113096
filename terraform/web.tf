# Pages, and the one origin behind which the three public functions stand.
module "web" {
  source     = "./modules/function"
  function   = "web"
  deployment = local.deployment
  invokers   = { everyone = "allUsers" }
  ingress    = local.web_ingress

  # It keeps nothing and passes streams on, those of the tutor among them: as many, and as
  # long, as the functions behind it.
  memory_mib      = 512
  concurrency     = local.pools.web.concurrency
  timeout_seconds = 3600
  min_instances   = lookup(var.warm, "web", 0)
  max_instances   = local.pools.web.instances

  database = false

  environment = merge(
    local.settings.every,
    {
      AUTH_URL     = local.urls.auth
      CHAT_URL     = local.urls.chat
      COURSES_URL  = local.urls.courses
      MEDIA_ORIGIN = "https://storage.googleapis.com" # where signed addresses point
      TRUSTED_HOPS = local.web_trusted_hops
    },
  )
  secrets = local.secrets.gateway

  depends_on = [google_secret_manager_secret_version.made] # no revision starts with a secret that has no version
}
