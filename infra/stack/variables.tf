variable "environment" {
  description = "The name of this deployment, part of the names of all that it makes: dev, prod."
  type        = string
}

variable "region" {
  description = "Where everything is."
  type        = string
  default     = "eu-central-1"
}

variable "jobs" {
  description = "As in modules/job."
  type = map(object({
    file              = optional(string)
    content           = optional(string)
    schedule          = optional(string)
    schedule_timezone = optional(string, "UTC")
    deadline_minutes  = optional(number, 240)
    instance_types    = optional(list(string), [])
    spot              = optional(bool, false)
    silence_hours     = optional(number, 26)
  }))
}

variable "ca_files" {
  description = "Certificates that job files trust, name → path: an instance has them as /etc/stopgap/NAME."
  type        = map(string)
  default     = {}
}

variable "architecture" {
  description = "arm64 or x86_64: what `cargo xtask package` built for."
  type        = string
  default     = "arm64"
}

variable "job_binary" {
  description = "The static sync-job; null for what `cargo xtask package` made in dist/."
  type        = string
  default     = null
}

variable "launcher_zip" {
  description = "The launcher's zip; null for what `cargo xtask package` made in dist/."
  type        = string
  default     = null
}

variable "instance_type" {
  description = "Used where a job lists no instance types; null for m7g.large or m7i.large, by the architecture."
  type        = string
  default     = null
}

variable "image_id" {
  description = "A machine image made from ami/, or null for stock Amazon Linux 2023."
  type        = string
  default     = null
}

variable "volume_kms_key_arn" {
  description = "A customer managed key for the instances' disks, or null for the account's aws/ebs; the image's key, if it has one."
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
  validation {
    condition     = (var.vpc_id == null) == (length(var.subnet_ids) == 0)
    error_message = "vpc_id and subnet_ids belong together: give both for an existing network, or neither to have one made."
  }
}

variable "network_cidr" {
  description = "The addresses of the network that is made: others than those of networks that it is peered with."
  type        = string
  default     = "10.80.0.0/20"
  validation {
    condition     = can(cidrnetmask(var.network_cidr))
    error_message = "A block of IPv4 addresses from /16 to /24, such as 10.80.0.0/20."
  }
}

variable "database_networks" {
  description = "Networks of this account and region that the network that is made is peered with, by any name, as in modules/network."
  type = map(object({
    vpc_id          = string
    cidrs           = set(string)
    route_table_ids = set(string)
    resolve_names   = optional(bool, true)
  }))
  default = {}
  validation {
    condition     = var.vpc_id == null || length(var.database_networks) == 0
    error_message = "An existing network has its ways already: database_networks is for one that is made, without vpc_id."
  }
}

variable "source_outside_aws" {
  description = "Whether the network that is made needs a way out of AWS: a NAT gateway instead of endpoints."
  type        = bool
  default     = true
}

variable "session_manager" {
  description = "Whether the network that is made has endpoints for Session Manager, where there is no NAT gateway."
  type        = bool
  default     = true
}

variable "database_ports" {
  description = "TCP ports that instances may open connections to, besides 443: source and target."
  type        = set(number)
  default     = [1433, 5432, 3306]
}

variable "database_cidrs" {
  description = "Where the databases are."
  type        = list(string)
  default     = ["0.0.0.0/0"]
}

variable "database_security_groups" {
  description = "Security groups of databases that the instances are let into, by any name: { aurora = { id = \"sg-…\", port = 5432 } }."
  type = map(object({
    id   = string
    port = number
  }))
  default = {}
}

variable "dns_cidrs" {
  description = "Where the network's DNS servers are, such as 10.0.0.2/32, if its DHCP options name some of its own."
  type        = list(string)
  default     = []
}

variable "secret_names" {
  description = "Secrets to make for the logins that job files name; they are filled by hand: aws secretsmanager put-secret-value."
  type        = set(string)
  default     = []
}

variable "secret_arns" {
  description = "Secrets that job files name and that others made."
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

variable "mail_addresses" {
  description = "Who gets the summaries."
  type        = set(string)
  default     = []
}

variable "topic_arn" {
  description = "An existing SNS topic for summaries and alarms, or null to make one."
  type        = string
  default     = null
}

variable "extra_topic_arns" {
  description = "Further topics, as [notify] topic of job files names them."
  type        = list(string)
  default     = []
}

variable "topic_kms_key_arns" {
  description = "Customer managed keys that encrypt topics made elsewhere."
  type        = list(string)
  default     = []
}

variable "failure_alarm_actions" {
  description = "What the alarm on failed runs does besides the mail that was sent, such as a pager's topic."
  type        = list(string)
  default     = []
}

variable "tags" {
  description = "Tags of everything."
  type        = map(string)
  default     = {}
}

variable "bucket_force_destroy" {
  description = "Whether destroying the stack deletes run records and job files, too."
  type        = bool
  default     = false
}

variable "report_retention_days" {
  description = "For how many days the bucket keeps whole reports of runs, 14 or more."
  type        = number
  default     = 90
}

variable "head_retention_days" {
  description = "For how many days the bucket keeps the heads of run records, which `sync-job history` lists."
  type        = number
  default     = 400
}

variable "secret_recovery_days" {
  description = "For how long the logins of a destroyed stack can be restored: 0, or 7 to 30."
  type        = number
  default     = 30
}

variable "log_retention_days" {
  description = "For how long CloudWatch keeps logs."
  type        = number
  default     = 365
}
