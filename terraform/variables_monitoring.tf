variable "alert_emails" {
  description = "Addresses that are told of alerts and of the budget. Empty: alerts are seen in the console alone."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for address in var.alert_emails : can(regex("^[^@ ]+@[^@ ]+[.][^@ ]+$", address))])
    error_message = "An address looks like oncall@example.org."
  }
}

variable "alerts_off" {
  description = "Alerts that are not made, by the names of their pages in docs/runbook, such as pool-waits."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for page in var.alerts_off : fileexists("${path.module}/../docs/runbook/${page}.md")])
    error_message = "An alert is named as its page in docs/runbook."
  }
}

variable "objectives" {
  description = "What people may expect, over 28 days: the share of the tutor's answers that begin within chat_first_word_ms, of its answers that come to an end, of videos and of other jobs that succeed, and of requests that are not answered with an error of ours."
  type = object({
    chat_first_word_ms = optional(number, 4000)
    chat_first_word    = optional(number, 0.95)
    chat_answers       = optional(number, 0.99)
    renders            = optional(number, 0.98)
    requests           = optional(number, 0.995)
  })
  default = {}

  validation {
    condition     = var.objectives.chat_first_word_ms >= 100 && var.objectives.chat_first_word_ms <= 60000
    error_message = "The first word comes within 100 to 60000 milliseconds."
  }
  validation {
    condition = alltrue([for goal in [var.objectives.chat_first_word, var.objectives.chat_answers, var.objectives.renders, var.objectives.requests] :
    goal >= 0.5 && goal <= 0.9999])
    error_message = "A goal is a share between 0.5 and 0.9999."
  }
}

variable "uptime_checks" {
  description = "Public functions that are asked every five minutes from three continents whether they are there. chat is not among them by default: its processor is billed for as long as an instance lives, and a check every five minutes keeps one alive, for about 50 US dollars a month."
  type        = set(string)
  default     = ["auth", "courses", "web"]

  validation {
    condition     = alltrue([for function in var.uptime_checks : contains(["auth", "chat", "courses", "web"], function)])
    error_message = "auth, chat, courses and web can be asked from outside."
  }
}

variable "billing_account" {
  description = "Id of the billing account that pays for the project, such as 012345-6789AB-CDEF01. Empty: no budget is made. Who applies needs roles/billing.admin on it: the budget is made, and the pipeline let look at it."
  type        = string
  default     = ""

  validation {
    condition     = var.billing_account == "" || can(regex("^[0-9A-F]{6}-[0-9A-F]{6}-[0-9A-F]{6}$", var.billing_account))
    error_message = "A billing account looks like 012345-6789AB-CDEF01."
  }
}

variable "monthly_budget" {
  description = "What the project may cost in a month before people are told, in whole units of the billing account's currency. Nothing is switched off by it."
  type        = number
  default     = 30

  validation {
    condition     = var.monthly_budget >= 1 && floor(var.monthly_budget) == var.monthly_budget
    error_message = "A budget is a whole number of at least 1."
  }
}
