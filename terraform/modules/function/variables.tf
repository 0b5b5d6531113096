variable "function" {
  description = "Which function it is, such as chat: the folder in functions/ and the last part of the service's name."
  type        = string
}

variable "deployment" {
  description = "What every function is made with: project, region, the prefix of names, images and service accounts by function, the subnetwork that reaches the database, and the names of the database's instance, of Firestore's database, of the bucket and of the queues by target, and whether the organisation forbids rights for everybody. A function without an image is not there yet."
  type = object({
    project    = string
    region     = string
    name       = string
    images     = map(string)
    accounts   = map(string)
    subnetwork = string
    database   = string
    live       = string
    bucket     = string
    queues     = map(string)
    restricted = bool
  })
}

variable "invokers" {
  description = "Members that may call, such as serviceAccount:…, by any name; everyone = allUsers makes the function public, and then it checks by itself who asks."
  type        = map(string)
}

variable "ingress" {
  description = "From where it is reached. By default from queues, triggers and the scheduler of this project alone, which Cloud Run takes for internal: what IAM says comes on top of it."
  type        = string
  default     = "INGRESS_TRAFFIC_INTERNAL_ONLY"

  validation {
    condition     = contains(["INGRESS_TRAFFIC_ALL", "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER", "INGRESS_TRAFFIC_INTERNAL_ONLY"], var.ingress)
    error_message = "INGRESS_TRAFFIC_ALL, INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER or INGRESS_TRAFFIC_INTERNAL_ONLY."
  }
}

variable "environment" {
  description = "Settings in the clear, as docs/settings.md has them. One that is empty is not set."
  type        = map(string)
  default     = {}
}

variable "secrets" {
  description = "Settings whose values are secrets: from a setting's name to the secret's id. An instance reads the newest version when it starts."
  type        = map(string)
  default     = {}
}

variable "database" {
  description = "Whether it works with the database: it reaches the network of it, and may sign in."
  type        = bool
  default     = true
}

variable "live" {
  description = "Whether it shows progress, or what is shown: it may read and write Firestore's one database."
  type        = bool
  default     = false
}

variable "queues" {
  description = "Targets whose queues it may put tasks into."
  type        = set(string)
  default     = []

  validation {
    condition     = length(setsubtract(var.queues, ["generate", "ingest", "render"])) == 0
    error_message = "There are queues to generate, ingest and render."
  }
}

variable "objects" {
  description = "Folders of the bucket, such as videos/, whose objects it may read, write and remove; it may list the names of all. An empty name is the whole bucket."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for folder in var.objects : can(regex("^([a-z]+/)?$", folder))])
    error_message = "A folder is such as videos/."
  }
}

variable "signs" {
  description = "Whether it signs addresses of objects, in its own name."
  type        = bool
  default     = false
}

variable "cpu" {
  description = "Processors of an instance: 1, 2, 4 or 8."
  type        = number
  default     = 1

  validation {
    condition     = contains([1, 2, 4, 8], var.cpu)
    error_message = "1, 2, 4 or 8 processors."
  }
}

variable "memory_mib" {
  description = "Memory of an instance in MiB, all that it writes to /tmp included. 512 is the least of the second generation."
  type        = number
  default     = 512

  validation {
    condition     = var.memory_mib >= 512 && var.memory_mib <= 4096 * var.cpu
    error_message = "Between 512 MiB and 4096 MiB a processor: Cloud Run takes neither less nor more."
  }
}

variable "cpu_always" {
  description = "Whether the processor is there between requests, too, and billed for as long as the instance lives."
  type        = bool
  default     = false
}

variable "scratch_mib" {
  description = "The most that /tmp may take of the memory, in MiB: more gives no space left, and not the end of the instance. 0: nothing is mounted there."
  type        = number
  default     = 0

  validation {
    condition     = var.scratch_mib >= 0 && var.scratch_mib < var.memory_mib
    error_message = "What lies in /tmp takes a part of the memory."
  }
}

variable "timeout_seconds" {
  description = "How long a request may take, a stream included: 1 to 3600."
  type        = number
  default     = 60

  validation {
    condition     = var.timeout_seconds >= 1 && var.timeout_seconds <= 3600
    error_message = "Between 1 and 3600 seconds."
  }
}

variable "concurrency" {
  description = "Requests that an instance answers at once: 1 to 1000."
  type        = number

  validation {
    condition     = var.concurrency >= 1 && var.concurrency <= 1000
    error_message = "Between 1 and 1000 requests."
  }
}

variable "min_instances" {
  description = "Instances that are kept while nobody asks."
  type        = number
  default     = 0

  validation {
    condition     = var.min_instances >= 0 && var.min_instances <= var.max_instances
    error_message = "No more instances can be kept than there may be."
  }
}

variable "max_instances" {
  description = "The most instances, of all revisions that serve together."
  type        = number

  validation {
    condition     = var.max_instances >= 1
    error_message = "At least one instance."
  }
}
