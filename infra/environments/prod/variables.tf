variable "region" {
  description = "Where everything is."
  type        = string
  default     = "eu-central-1"
}

variable "jobs" {
  description = "As in modules/job."
  type = map(object({
    file              = string
    schedule          = optional(string)
    schedule_timezone = optional(string, "UTC")
    deadline_minutes  = optional(number, 240)
    instance_types    = optional(list(string), [])
    spot              = optional(bool, false)
    silence_hours     = optional(number, 26)
  }))
}

variable "job_binary" {
  description = "The static sync-job, as `cargo xtask package` makes it."
  type        = string
  default     = "../../../dist/sync-job-arm64"
}

variable "launcher_zip" {
  description = "The launcher's zip, as `cargo xtask package` makes it."
  type        = string
  default     = "../../../dist/launcher-arm64.zip"
}

variable "architecture" {
  description = "arm64 or x86_64, as the two files above."
  type        = string
  default     = "arm64"
}

variable "instance_type" {
  description = "Used where a job lists no instance types."
  type        = string
  default     = "m7g.large"
}

variable "image_id" {
  description = "A machine image made from ami/, or null for stock Amazon Linux 2023."
  type        = string
  default     = null
}

variable "vpc_id" {
  description = "An existing network, or null to make one."
  type        = string
  default     = null
}

variable "subnet_ids" {
  description = "Subnets of the existing network."
  type        = list(string)
  default     = []
}

variable "source_outside_aws" {
  description = "Whether the network that is made needs a way out of AWS."
  type        = bool
  default     = true
}

variable "secret_arns" {
  description = "Secrets that job files name."
  type        = list(string)
  default     = []
}

variable "mail_addresses" {
  description = "Who gets the summaries."
  type        = set(string)
  default     = []
}
