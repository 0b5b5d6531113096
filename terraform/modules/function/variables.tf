variable "function" {
  description = "Which function it is, such as chat: the folder in functions/ and the last part of the service's name."
  type        = string
}

variable "deployment" {
  description = "What every function is made with: project, region, the prefix of names, images and service accounts by function, and the subnetwork that reaches the database. A function without an image is not there yet."
  type = object({
    project    = string
    region     = string
    name       = string
    images     = map(string)
    accounts   = map(string)
    subnetwork = string
  })
}

variable "private_network" {
  description = "Whether it reaches the network in which the database is."
  type        = bool
  default     = true
}

variable "invokers" {
  description = "Members that may call, such as serviceAccount:…, by any name; allUsers makes the function public, and then it checks by itself who asks."
  type        = map(string)
}

variable "environment" {
  description = "Settings in the clear, as docs/settings.md has them."
  type        = map(string)
  default     = {}
}

variable "secrets" {
  description = "Settings whose values are secrets: from a setting's name to the secret's id. An instance reads the newest version when it starts."
  type        = map(string)
  default     = {}
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
  description = "Memory of an instance in MiB, all that it writes to /tmp included."
  type        = number
  default     = 512

  validation {
    condition     = var.memory_mib >= 128 && var.memory_mib <= 32768
    error_message = "Between 128 and 32768 MiB."
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
}

variable "max_instances" {
  description = "The most instances."
  type        = number
}
