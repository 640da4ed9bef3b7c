variable "environment" {
  description = "Name of the environment, such as dev or prod: part of names, and a tag of every instance."
  type        = string
  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,15}$", var.environment))
    error_message = "1 to 16 lower-case letters, digits and hyphens, beginning with a letter."
  }
}

variable "jobs" {
  description = <<-EOT
    The jobs, by name. `file` is the job file on this machine; `schedule` an EventBridge Scheduler expression, or null for runs
    by hand only; `deadline_minutes` is when the sweep ends an instance that should have ended by itself.
  EOT
  type = map(object({
    file              = string
    schedule          = optional(string)
    schedule_timezone = optional(string, "UTC")
    deadline_minutes  = optional(number, 240)
    instance_types    = optional(list(string), [])
    spot              = optional(bool, false)
    silence_hours     = optional(number, 26)
  }))
  validation {
    condition     = length(var.jobs) > 0 && alltrue([for name in keys(var.jobs) : can(regex("^[A-Za-z0-9_-]{1,40}$", name))])
    error_message = "At least one job; names are 1 to 40 letters, digits, - and _."
  }
  validation {
    condition     = alltrue([for job in values(var.jobs) : job.schedule == null || can(regex("^(cron|rate|at)\\(.+\\)$", job.schedule))])
    error_message = "A schedule is cron(…), rate(…) or at(…)."
  }
  validation {
    condition     = alltrue([for job in values(var.jobs) : job.deadline_minutes >= 5 && job.silence_hours >= 1])
    error_message = "deadline_minutes is 5 or more, silence_hours 1 or more."
  }
}

variable "job_binary" {
  description = "The static sync-job for the instances' architecture, as `cargo xtask package` makes it."
  type        = string
}

variable "launcher_zip" {
  description = "The launcher's zip with `bootstrap`, as `cargo xtask package` makes it."
  type        = string
}

variable "architecture" {
  description = "Of the instances and of the launcher."
  type        = string
  default     = "arm64"
  validation {
    condition     = contains(["arm64", "x86_64"], var.architecture)
    error_message = "arm64 or x86_64."
  }
}

variable "instance_type" {
  description = "Used where a job lists no instance types."
  type        = string
  default     = "m7g.large"
}

variable "image_id" {
  description = "A machine image made from ami/, or null for stock Amazon Linux 2023, which fetches the binary when it boots."
  type        = string
  default     = null
}

variable "vpc_id" {
  description = "Where the instances live."
  type        = string
}

variable "subnet_ids" {
  description = "Tried one after the other; they must reach the source, the target and AWS."
  type        = list(string)
  validation {
    condition     = length(var.subnet_ids) > 0
    error_message = "At least one subnet."
  }
}

variable "database_ports" {
  description = "TCP ports that instances may open connections to, besides 443: source and target."
  type        = set(number)
  default     = [1433, 5432, 3306]
}

variable "database_cidrs" {
  description = "Where the databases are. The default is anywhere that the network lets instances reach."
  type        = list(string)
  default     = ["0.0.0.0/0"]
}

variable "secret_arns" {
  description = "Secrets of Secrets Manager that job files name. Made elsewhere: Terraform's state should not hold passwords."
  type        = list(string)
  default     = []
}

variable "secret_kms_key_arns" {
  description = "Customer managed keys that encrypt those secrets."
  type        = list(string)
  default     = []
}

variable "iam_database_users" {
  description = "ARNs of database users for auth = \"iam\": arn:aws:rds-db:REGION:ACCOUNT:dbuser:CLUSTER/USER."
  type        = list(string)
  default     = []
}

variable "topic_arn" {
  description = "An existing SNS topic for summaries, or null to make one."
  type        = string
  default     = null
}

variable "mail_addresses" {
  description = "Who gets the summaries by mail; each address must confirm its subscription."
  type        = set(string)
  default     = []
}

variable "log_retention_days" {
  description = "How long CloudWatch keeps logs."
  type        = number
  default     = 90
}

variable "bucket_force_destroy" {
  description = "Whether destroying the stack also deletes the bucket with run records."
  type        = bool
  default     = false
}

variable "tags" {
  description = "Tags of everything."
  type        = map(string)
  default     = {}
}
