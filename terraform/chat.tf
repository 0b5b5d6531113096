# The tutor: streams to people and to OpenAI's clients.
module "chat" {
  source     = "./modules/function"
  function   = "chat"
  deployment = local.deployment
  invokers   = { everyone = "allUsers" }
  ingress    = "INGRESS_TRAFFIC_ALL"

  # Answers go on when who asked has gone away, so the processor stays. Ten thousand answers
  # at once took 0.68 of a core and 940 MiB: a thousand, which is the most that Cloud Run
  # gives an instance, leave room for 256 MiB of hashing (every client of OpenAI's shows its
  # secret with each request) and for what the collector has not taken yet. A stream may
  # last as long as a request may.
  cpu_always      = true
  memory_mib      = 1024
  concurrency     = local.pools.chat.concurrency
  timeout_seconds = 3600
  min_instances   = lookup(var.warm, "chat", 0)
  max_instances   = local.pools.chat.instances

  environment = merge(
    local.settings.every,
    local.settings.database.chat,
    local.settings.budget,
    local.settings.chat_limits,
    local.settings.front,
    local.settings.model,
    local.settings.pages,
    { FIRST_TOKEN_DEADLINE = var.model.first_token_deadline, HASH_MEMORY = "256" },
  )
  secrets = merge(local.secrets.cookies, local.secrets.gateway, local.secrets.model)

  depends_on = [google_secret_manager_secret_version.made] # no revision starts with a secret that has no version
}
