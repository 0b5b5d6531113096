# People and organisations: signing up and in, members, API credentials.
module "auth" {
  source     = "./modules/function"
  function   = "auth"
  deployment = local.deployment
  invokers   = { everyone = "allUsers" }
  ingress    = "INGRESS_TRAFFIC_ALL"

  # A hash of a password takes 19 MiB and 50 ms of a processor: six at once are HASH_MEMORY's
  # 128 MiB, twice that with what the collector has not taken yet, and the rest wait a second.
  # Nothing takes longer than 25 s (internal/edge).
  memory_mib      = 512
  concurrency     = local.pools.auth.concurrency
  timeout_seconds = 60
  min_instances   = lookup(var.warm, "auth", 0)
  max_instances   = local.pools.auth.instances

  environment = merge(
    local.settings.every,
    local.settings.database.auth,
    local.settings.budget,
    local.settings.front,
    local.settings.mail,
    local.settings.pages,
    { PUBLIC_URL = local.public_url, VERIFY_EMAIL = tostring(coalesce(var.verify_email, var.mail.host != "")) },
  )
  secrets = merge(local.secrets.cookies, local.secrets.gateway, local.secrets.mail)

  depends_on = [google_secret_manager_secret_version.made] # no revision starts with a secret that has no version
}
