variable "domain_restricted" {
  description = "Whether the organisation allows rights to its own people alone, as newer ones do (the constraint iam.allowedPolicyMemberDomains). Nobody can be given allUsers there: public functions are opened by turning Cloud Run's own check off instead. Private ones keep it."
  type        = bool
  default     = false
}

variable "log_level" {
  description = "The least that functions log: DEBUG or INFO. Metrics and alerts are made of lines at INFO, which is why there is no more than that to leave out."
  type        = string
  default     = "INFO"

  validation {
    condition     = contains(["DEBUG", "INFO"], var.log_level)
    error_message = "The level is DEBUG or INFO: without lines at INFO there are no metrics."
  }
}

variable "traces_ratio" {
  description = "The share of requests that are traced where their caller does not say, from 0 to 1. Cloud Run says so for one request in ten seconds of each instance; a task is traced as what sent it was. An instance traces five a second at most. 2.5 million spans a month are free."
  type        = number
  default     = 1

  validation {
    condition     = var.traces_ratio >= 0 && var.traces_ratio <= 1
    error_message = "A share is between 0 and 1."
  }
}

variable "sweep_minutes" {
  description = "How often the sweep makes good what was lost on its way: the minutes that somebody waits for it at the most."
  type        = number
  default     = 5

  validation {
    condition     = contains([1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30], var.sweep_minutes)
    error_message = "Minutes that an hour can be divided by: 1, 2, 3, 4, 5, 6, 10, 12, 15, 20 or 30."
  }
}

variable "model" {
  description = "Who writes courses, answers people and speaks: a server with OpenAI's API (base_url, with /v1; empty: OpenAI's own), its language model (name; empty: gpt-4o-mini), its voice (speech, such as gpt-4o-mini-tts; empty: espeak-ng speaks, for nothing), and whether the secret NAME-openai-api-key has been filled (has_key). With neither a key nor a server the built-in offline model answers. first_token_deadline is how long it may take to begin before the backup is asked, too."
  type = object({
    base_url             = optional(string, "")
    name                 = optional(string, "")
    speech               = optional(string, "")
    has_key              = optional(bool, false)
    first_token_deadline = optional(string, "5s")
  })
  default = {}

  validation {
    condition     = var.model.base_url == "" || can(regex("^https?://[^/?#]+(/[^?#]*)?$", var.model.base_url))
    error_message = "The model's server is named like https://api.openai.com/v1."
  }
  validation {
    condition     = contains([for name in [coalesce(var.model.name, "gpt-4o-mini"), replace(var.model.name, local.dated, "")] : lookup(local.priced, name, "")], "tokens")
    error_message = "Nobody knows what this language model costs, and functions refuse to start with it: give its price in budget.prices."
  }
  validation {
    condition     = var.model.speech == "" || contains([for name in [var.model.speech, replace(var.model.speech, local.dated, "")] : lookup(local.priced, name, "")], "speech")
    error_message = "Nobody knows what this voice costs, and render refuses to start with it: give its price in budget.prices."
  }
  validation {
    condition     = var.model.speech == "" || var.model.has_key || var.model.base_url != ""
    error_message = "A voice needs a server: fill the secret NAME-openai-api-key and set has_key, or set base_url."
  }
  validation {
    condition     = can(regex("^([0-9]+(ms|s|m))+$", var.model.first_token_deadline))
    error_message = "A time is such as 5s or 1500ms."
  }
}

variable "backup" {
  description = "Who answers when the model cannot: another server with OpenAI's API (base_url, with /v1; empty: none), its model (name), and whether the secret NAME-backup-api-key has been filled (has_key)."
  type = object({
    base_url = optional(string, "")
    name     = optional(string, "")
    has_key  = optional(bool, false)
  })
  default = {}

  validation {
    condition     = var.backup.base_url == "" || can(regex("^https?://[^/?#]+(/[^?#]*)?$", var.backup.base_url))
    error_message = "The backup's server is named like https://api.example.com/v1."
  }
  validation {
    condition     = (var.backup.base_url == "") == (var.backup.name == "")
    error_message = "A backup is a server and a model: base_url and name, or neither."
  }
  validation {
    condition     = var.backup.name == "" || contains([for name in [var.backup.name, replace(var.backup.name, local.dated, "")] : lookup(local.priced, name, "")], "tokens")
    error_message = "Nobody knows what the backup's model costs, and functions refuse to start with it: give its price in budget.prices."
  }
  validation {
    condition     = !var.backup.has_key || var.backup.base_url != ""
    error_message = "The backup's key is for a server: set base_url and name."
  }
}

variable "mail" {
  description = "The server that sends letters (host, port, user), who writes (from: name@host, or \"Name <name@host>\"), and whether the secret NAME-smtp-password has been filled (has_password). Without a host letters are written to the log."
  type = object({
    host         = optional(string, "")
    port         = optional(number, 587)
    user         = optional(string, "")
    from         = optional(string, "")
    has_password = optional(bool, false)
  })
  default = {}

  validation {
    condition     = var.mail.host == "" || can(regex("^[A-Za-z0-9.-]+$", var.mail.host))
    error_message = "A mail server is named like smtp.example.org; its port is a field of its own."
  }
  validation {
    condition     = contains([465, 587, 2525], var.mail.port)
    error_message = "The port is 465, 587 or 2525: Cloud Run lets nothing out by port 25."
  }
  validation {
    condition     = var.mail.host == "" ? var.mail.user == "" && var.mail.from == "" && !var.mail.has_password : can(regex("^[^@<>]+@[^@<>]+$|^.+ <[^@<>]+@[^@<>]+>$", var.mail.from))
    error_message = "Letters need a server and somebody who writes: set host and from (name@host, or \"Name <name@host>\"), or none of mail's fields."
  }
  validation {
    condition     = var.mail.has_password == (var.mail.user != "")
    error_message = "Who signs in to the mail server has a name and a password: set user and has_password, or neither."
  }
}

variable "verify_email" {
  description = "Whether an account waits until its address has been confirmed by a letter. null: as soon as there is a mail server."
  type        = bool
  default     = null

  validation {
    condition     = !coalesce(var.verify_email, false) || var.mail.host != ""
    error_message = "Nobody could confirm an address without a mail server: set mail.host, or verify_email = false."
  }
}

variable "budget" {
  description = "What an organisation may spend in a month, in millionths of a US dollar: from soft_micros on its owners are warned, hard_micros is never passed. calls_per_job bounds how often a job asks a model. prices are those of more models, or other ones, in US dollars for a million units, as in internal/budget/prices.json."
  type = object({
    soft_micros   = optional(number, 4000000)
    hard_micros   = optional(number, 5000000)
    calls_per_job = optional(number, 500)
    prices = optional(map(object({
      kind       = string
      input      = number
      output     = optional(number)
      max_output = optional(number)
      source     = string
      read       = string
    })), {})
  })
  default = {}

  validation {
    condition     = var.budget.soft_micros >= 0 && var.budget.hard_micros >= var.budget.soft_micros && floor(var.budget.soft_micros) == var.budget.soft_micros && floor(var.budget.hard_micros) == var.budget.hard_micros
    error_message = "Whole millionths of a dollar, and the hard limit is not below the soft one."
  }
  validation {
    condition     = var.budget.calls_per_job >= 1 && floor(var.budget.calls_per_job) == var.budget.calls_per_job
    error_message = "A job asks a model at least once."
  }
  validation {
    condition = alltrue([for price in values(var.budget.prices) :
    contains(["tokens", "embedding", "speech", "render"], price.kind) && price.input >= 0 && (price.output == null ? price.kind != "tokens" : price.output >= 0) && can(formatdate("YYYY-MM-DD", "${price.read}T00:00:00Z"))])
    error_message = "A price has a kind (tokens, embedding, speech or render), what input and output cost, its source, and the day on which it was read (YYYY-MM-DD)."
  }
}

variable "chat_limits" {
  description = "How much people and organisations may ask the tutor; 0: any amount. docs/settings.md says what each is."
  type = object({
    answers_per_user                     = optional(number, 5)
    answers_per_organization             = optional(number, 200)
    requests_per_minute_per_user         = optional(number, 30)
    requests_per_minute_per_organization = optional(number, 600)
    tokens_per_day_per_user              = optional(number, 1000000)
    tokens_per_day_per_organization      = optional(number, 50000000)
    sessions_per_user                    = optional(number, 1000)
    sessions_per_organization            = optional(number, 20000)
    streams_per_user                     = optional(number, 20)
    streams_per_organization             = optional(number, 500)
  })
  default = {}

  validation {
    condition     = alltrue([for limit in values(var.chat_limits) : limit >= 0 && floor(limit) == limit])
    error_message = "A limit is a whole number; 0 is none."
  }
}

variable "job_limits" {
  description = "How many jobs people and organisations may have open at once; 0: any number."
  type = object({
    generations_per_user         = optional(number, 3)
    generations_per_organization = optional(number, 10)
    renders_per_user             = optional(number, 10)
    renders_per_organization     = optional(number, 30)
  })
  default = {}

  validation {
    condition     = alltrue([for limit in values(var.job_limits) : limit >= 0 && floor(limit) == limit])
    error_message = "A limit is a whole number; 0 is none."
  }
}

locals {
  # The kind of each price: those that Lectern comes with, and the operator's own.
  priced = { for name, price in merge(jsondecode(file("${path.module}/../internal/budget/prices.json")), var.budget.prices) : name => price.kind }
  dated  = "/-[0-9]{4}-[0-9]{2}-[0-9]{2}$/" # how a snapshot of a model ends: it costs what the model costs
}
