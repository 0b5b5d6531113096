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
  description = "The database: its instance (empty: NAME; another one after a restore into it, docs/operations.md), its version of Postgres, its tier, whether it stands in two zones (high_availability; twice the price), the connections that it takes (max_connections) and those that are left to people and to Cloud SQL itself (reserve), to how many GB its disk may grow by itself (disk_limit_gb; it begins with 10, and 0 is no limit), for how many days backups are kept (backup_days), and when Google may restart it for maintenance (maintenance_day, 1 is Monday; maintenance_hour, in UTC)."
  type = object({
    instance          = optional(string, "")
    version           = optional(string, "POSTGRES_17")
    tier              = optional(string, "db-f1-micro")
    high_availability = optional(bool, false)
    max_connections   = optional(number, 50)
    reserve           = optional(number, 10)
    disk_limit_gb     = optional(number, 100)
    backup_days       = optional(number, 7)
    maintenance_day   = optional(number, 7)
    maintenance_hour  = optional(number, 3)
  })
  default = {}

  validation {
    condition     = var.database.instance == "" || can(regex("^[a-z][a-z0-9-]{0,62}$", var.database.instance))
    error_message = "An instance has lower-case letters, digits and hyphens, and begins with a letter."
  }
  validation {
    condition     = contains(["POSTGRES_15", "POSTGRES_16", "POSTGRES_17"], var.database.version)
    error_message = "Lectern is tested with POSTGRES_15 and POSTGRES_17."
  }
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
    condition     = var.database.disk_limit_gb == 0 || var.database.disk_limit_gb >= 10
    error_message = "A disk begins with 10 GB; disk_limit_gb = 0 lets it grow without end."
  }
  validation {
    condition     = var.database.backup_days >= 1 && var.database.backup_days <= 365
    error_message = "Backups are kept for 1 to 365 days."
  }
  validation {
    condition     = contains(range(1, 8), var.database.maintenance_day) && contains(range(24), var.database.maintenance_hour)
    error_message = "A day is 1 (Monday) to 7 (Sunday), an hour 0 to 23."
  }
}

variable "protected" {
  description = "Whether the database, Firestore, the secrets and a bucket with objects in it refuse to be deleted, by Terraform and by hand. To destroy everything: terraform apply -var protected=false, then terraform destroy."
  type        = bool
  default     = true
}

variable "deleted_days" {
  description = "For how many days what was deleted from the bucket can be had back, and is paid for: 0, or 7 to 90."
  type        = number
  default     = 7

  validation {
    condition     = var.deleted_days == 0 || contains(range(7, 91), var.deleted_days)
    error_message = "0 days, or 7 to 90."
  }
}

variable "root_email" {
  description = "Address of the operator's owner, who is root: migrate makes the account with the password in the secret NAME-root-password. Empty: nobody is made."
  type        = string
  default     = ""

  validation {
    condition     = var.root_email == "" || can(regex("^[^@\\s,]+@[^@\\s,]+$", var.root_email))
    error_message = "An address is name@host."
  }
}

variable "dreambridge" {
  description = "The client's organisation, which migrate makes beside root's: its owner's address (email), and whether the secret NAME-dreambridge-secret has been filled with the secret of its credential (has_secret)."
  type = object({
    email      = optional(string, "")
    has_secret = optional(bool, false)
  })
  default = {}

  validation {
    condition     = var.dreambridge.email == "" || can(regex("^[^@\\s,]+@[^@\\s,]+$", var.dreambridge.email))
    error_message = "An address is name@host."
  }
  validation {
    condition     = var.dreambridge == { email = "", has_secret = false } || var.root_email != ""
    error_message = "The client's organisation is made together with root's: set root_email."
  }
}

variable "load_balancer" {
  description = "Whether a load balancer stands before web, with a certificate of Google's for public_url's host, addresses of its own in IPv4 and IPv6, and a CDN for static files. It costs about 18 US dollars a month, before any traffic; Cloud Run's own address costs nothing."
  type        = bool
  default     = false

  validation {
    condition     = !var.load_balancer || var.public_url != ""
    error_message = "A load balancer needs the host that its certificate is for: set public_url."
  }
}

variable "repository" {
  description = "The repository whose pushes are released: the Cloud Build connection that it is reached by, its name there, and the branch. null: no push is; the pipeline is started by hand."
  type = object({
    connection = string
    name       = string
    branch     = optional(string, "main")
  })
  default = null

  validation {
    condition     = var.repository == null || can(regex("^[A-Za-z0-9_-]+/[A-Za-z0-9_.-]+/[A-Za-z0-9_./-]+$", join("/", [var.repository.connection, var.repository.name, var.repository.branch])))
    error_message = "A connection and a repository are named as in `gcloud builds repositories list`, a branch as in git."
  }
}

variable "probe_has_key" {
  description = "Whether the secret NAME-probe-key has been filled with a credential of the API (auth_id.secret) of the scope chat: then a release has its tutor answer once before it serves."
  type        = bool
  default     = false
}

variable "pipeline_changes_platform" {
  description = "Whether a push may also change what functions stand on: the database's size, queues, network, alerts. false: a push releases functions, and terraform apply by hand does the rest; the first release then stops at the alerts, which are made with the functions: apply by hand, and start it again. Who may do what, secrets, the bucket and the trigger are changed by hand in any case."
  type        = bool
  default     = true
}
