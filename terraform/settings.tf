# What functions are told: the settings of docs/settings.md, each in one place. Which
# function gets which is in its own file; that each gets what it reads, and nothing else,
# says internal/archtest, where those that are left to their defaults have their reasons.
locals {
  settings = {
    every = {
      GOOGLE_CLOUD_PROJECT = var.project
      LOG_LEVEL            = var.log_level
      TELEMETRY_PROJECT    = var.project
      TRACES_RATIO         = tostring(var.traces_ratio)
    }

    database = { for f, url in local.database_urls : f => {
      DATABASE_URL         = url
      CLOUDSQL_INSTANCE    = local.cloudsql_instance
      DATABASE_CONNECTIONS = tostring(local.pools[f].connections)
    } }

    # The queues sign by themselves.
    queue = {
      LOCATION     = var.region
      QUEUE_PREFIX = local.queue_prefix
    }

    live = {
      FIRESTORE_DATABASE = google_firestore_database.live.name
    }

    bucket = {
      BUCKET = google_storage_bucket.media.name
    }

    # Cloud Run has checked who calls before a function does it once more.
    private = { for f, caller in google_service_account.caller : f => {
      OIDC_AUDIENCE   = local.urls[f]
      OIDC_CALLERS    = caller.email
      OIDC_BEHIND_IAM = "true"
    } }

    pages = {
      TRUSTED_ORIGINS = join(",", var.trusted_origins)
    }

    front = {
      TRUSTED_HOPS = "1" # Cloud Run itself
    }

    model = {
      OPENAI_BASE_URL = var.model.base_url
      OPENAI_MODEL    = var.model.name
      BACKUP_BASE_URL = var.backup.base_url
      BACKUP_MODEL    = var.backup.name
    }

    # espeak-ng speaks in the function itself, and needs no server.
    speech = {
      OPENAI_BASE_URL     = var.model.speech == "" ? "" : var.model.base_url
      OPENAI_SPEECH_MODEL = var.model.speech
    }

    budget = {
      BUDGET_SOFT_MICROS   = tostring(var.budget.soft_micros)
      BUDGET_HARD_MICROS   = tostring(var.budget.hard_micros)
      BUDGET_CALLS_PER_JOB = tostring(var.budget.calls_per_job)
      PRICES               = length(var.budget.prices) == 0 ? "" : jsonencode(var.budget.prices)
    }

    mail = {
      SMTP_HOST = var.mail.host
      SMTP_PORT = tostring(var.mail.port)
      SMTP_USER = var.mail.user
      MAIL_FROM = var.mail.from
    }

    chat_limits = {
      CHAT_ANSWERS_PER_USER                     = tostring(var.chat_limits.answers_per_user)
      CHAT_ANSWERS_PER_ORGANIZATION             = tostring(var.chat_limits.answers_per_organization)
      CHAT_REQUESTS_PER_MINUTE_PER_USER         = tostring(var.chat_limits.requests_per_minute_per_user)
      CHAT_REQUESTS_PER_MINUTE_PER_ORGANIZATION = tostring(var.chat_limits.requests_per_minute_per_organization)
      CHAT_TOKENS_PER_DAY_PER_USER              = tostring(var.chat_limits.tokens_per_day_per_user)
      CHAT_TOKENS_PER_DAY_PER_ORGANIZATION      = tostring(var.chat_limits.tokens_per_day_per_organization)
      CHAT_SESSIONS_PER_USER                    = tostring(var.chat_limits.sessions_per_user)
      CHAT_SESSIONS_PER_ORGANIZATION            = tostring(var.chat_limits.sessions_per_organization)
      CHAT_STREAMS_PER_USER                     = tostring(var.chat_limits.streams_per_user)
      CHAT_STREAMS_PER_ORGANIZATION             = tostring(var.chat_limits.streams_per_organization)
    }

    job_limits = {
      GENERATIONS_PER_USER         = tostring(var.job_limits.generations_per_user)
      GENERATIONS_PER_ORGANIZATION = tostring(var.job_limits.generations_per_organization)
      RENDERS_PER_USER             = tostring(var.job_limits.renders_per_user)
      RENDERS_PER_ORGANIZATION     = tostring(var.job_limits.renders_per_organization)
    }
  }

  # Those whose values are in Secret Manager. One that the operator has not filled yet is
  # bound to nothing: a revision does not start with a secret that has no version.
  secrets = {
    gateway = { GATEWAY_KEY = google_secret_manager_secret.this["gateway_key"].secret_id }

    cookies = { COOKIE_KEYS = google_secret_manager_secret.this["cookie_keys"].secret_id }

    model = { for setting, secret in {
      OPENAI_API_KEY = var.model.has_key ? "openai_api_key" : ""
      BACKUP_API_KEY = var.backup.has_key ? "backup_api_key" : ""
    } : setting => google_secret_manager_secret.this[secret].secret_id if secret != "" }

    speech = { for setting, secret in {
      OPENAI_API_KEY = var.model.has_key && var.model.speech != "" ? "openai_api_key" : ""
    } : setting => google_secret_manager_secret.this[secret].secret_id if secret != "" }

    mail = { for setting, secret in {
      SMTP_PASSWORD = var.mail.has_password ? "smtp_password" : ""
    } : setting => google_secret_manager_secret.this[secret].secret_id if secret != "" }
  }
}
