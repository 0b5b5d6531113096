# The tutor: streams to people and to OpenAI's clients.
module "chat" {
  source     = "./modules/function"
  function   = "chat"
  deployment = local.deployment
  invokers   = { everyone = "allUsers" }

  # Answers go on when who asked has gone away, so the processor stays.
  cpu_always      = true
  memory_mib      = 1024
  concurrency     = 1000
  timeout_seconds = 3600
  min_instances   = lookup(var.warm, "chat", 0)
  max_instances   = local.pools.chat.instances

  environment = merge(
    local.settings.every,
    local.settings.database.chat,
    local.settings.budget,
    local.settings.front,
    local.settings.model,
    local.settings.chat_limits,
    { HASH_MEMORY = "256", TRUSTED_ORIGINS = join(",", var.trusted_origins) },
  )
  secrets = merge(local.secrets.access, local.secrets.model)
}
