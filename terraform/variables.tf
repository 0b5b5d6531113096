variable "project" {
  description = "Id of the Google Cloud project that Lectern lives in."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project))
    error_message = "A project id has 6 to 30 lower-case letters, digits and hyphens, such as lectern-prod."
  }
}

variable "region" {
  description = "Region of everything: functions, queues, database, bucket. Cloud Run's free limits hold in each; prices of tier 1 are those of europe-west1 and us-central1."
  type        = string
  default     = "europe-west1"

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "A region looks like europe-west1."
  }
}

variable "name" {
  description = "What every resource's name begins with. Another name makes another Lectern in the same project."
  type        = string
  default     = "lectern"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,14}[a-z0-9]$", var.name))
    error_message = "A name has 3 to 16 lower-case letters, digits and hyphens, and begins with a letter: service accounts have room for 30 with the function's."
  }
}

variable "images" {
  description = "Images of functions and of migrate in place of those that the pipeline released last, by digest or tag. A function that has neither is not there yet."
  type        = map(string)
  default     = {}

  validation {
    condition = alltrue([for function in keys(var.images) :
    contains(["auth", "chat", "courses", "finalize", "generate", "ingest", "migrate", "render", "sweep", "web"], function)])
    error_message = "Images are of auth, chat, courses, finalize, generate, ingest, migrate, render, sweep and web."
  }
}

variable "state_bucket" {
  description = "Bucket of the state and of the list of released images. Empty: PROJECT-terraform, which scripts/begin.sh makes."
  type        = string
  default     = ""

  validation {
    condition     = var.state_bucket == "" || can(regex("^[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]$", var.state_bucket))
    error_message = "A bucket's name has 3 to 63 lower-case letters, digits, dots, hyphens and underscores."
  }
}

variable "public_url" {
  description = "Where people find Lectern, such as https://learn.example.org: letters and links point there. Empty: the address that Cloud Run gives to web."
  type        = string
  default     = ""

  validation {
    condition     = var.public_url == "" || can(regex("^https://[a-z0-9.-]+$", var.public_url))
    error_message = "The address is https://host, without a path."
  }
}

variable "trusted_origins" {
  description = "Other origins whose pages may call the API from a browser, such as https://app.example.org."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for origin in var.trusted_origins : can(regex("^https://[a-z0-9.-]+(:[0-9]+)?$", origin))])
    error_message = "An origin is https://host or https://host:port, without a path."
  }
}

variable "instances" {
  description = "The most instances of each function, and so what an hour can cost at the most. A function that is not named has its default."
  type        = map(number)
  default     = {}

  validation {
    condition = alltrue([for function, count in var.instances :
    contains(["auth", "chat", "courses", "finalize", "generate", "ingest", "render", "sweep", "web"], function) && count >= 1 && count <= 100])
    error_message = "A function has 1 to 100 instances; functions are auth, chat, courses, finalize, generate, ingest, render, sweep and web."
  }
}

variable "warm" {
  description = "Instances of each function that are kept while nobody asks: a first request then waits for no start. One of 1 vCPU and 512 MiB costs about 10 US dollars a month; the tutor's, whose processor is always there, about 50."
  type        = map(number)
  default     = {}

  validation {
    condition = alltrue([for function, count in var.warm :
    contains(["auth", "chat", "courses", "web"], function) && count >= 0 && count <= 10])
    error_message = "auth, chat, courses and web may be kept warm, by 0 to 10 instances."
  }
}

variable "database" {
  description = "The database: its tier, whether it stands in two zones, the connections that it takes, those that are left to people and to Cloud SQL itself, its disk in GB, days that backups are kept, and whether Terraform may delete it."
  type = object({
    tier                = optional(string, "db-f1-micro")
    high_availability   = optional(bool, false)
    max_connections     = optional(number, 50)
    reserve             = optional(number, 10)
    disk_gb             = optional(number, 10)
    backup_days         = optional(number, 7)
    deletion_protection = optional(bool, true)
  })
  default = {}

  validation {
    condition     = can(regex("^db-(f1-micro|g1-small|custom-[0-9]+-[0-9]+)$", var.database.tier))
    error_message = "A tier is db-f1-micro, db-g1-small or db-custom-CPUS-MEGABYTES."
  }
  validation {
    condition     = var.database.max_connections >= 25 && var.database.max_connections <= 1000
    error_message = "Between 25 and 1000 connections; each takes about 5 MB of the instance's memory."
  }
  validation {
    condition     = var.database.reserve >= 6
    error_message = "At least 6: three are Postgres's own for superusers, and three are for backups, insights and whoever looks."
  }
  validation {
    condition     = var.database.disk_gb >= 10 && var.database.backup_days >= 1 && var.database.backup_days <= 365
    error_message = "A disk has at least 10 GB, and backups are kept for 1 to 365 days."
  }
}
