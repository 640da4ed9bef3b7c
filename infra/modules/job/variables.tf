variable "environment" {
  description = "The environment's name, such as dev or prod: part of every name, and a tag of every instance."
  type        = string
  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,15}$", var.environment))
    error_message = "1 to 16 lower-case letters, digits and hyphens, beginning with a letter."
  }
}

variable "jobs" {
  description = <<-EOT
    The jobs, by name: the name must equal [job] name in the job file.
    `file` is the path of the job file, or `content` its text, for values that only Terraform knows, such as a host name.
    `schedule` is an expression of EventBridge Scheduler, or null for runs by hand only.
    `deadline_minutes` is when the sweep terminates an instance that did not end by itself: set it above [job] deadline.
    `silence_hours` is how long a job may go without a successful run before the alarm fires, 0 for no alarm. A job without a
    schedule or with a single date, at(…), has no alarm. A new job is silent until its first successful run. CloudWatch looks
    back a week at most, so set 0 for a weekly job.
  EOT
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
  validation {
    condition     = length(var.jobs) > 0 && alltrue([for name in keys(var.jobs) : can(regex("^[A-Za-z0-9_-]{1,40}$", name))])
    error_message = "At least one job; names are 1 to 40 letters, digits, - and _."
  }
  validation {
    condition     = !contains(keys(var.jobs), "sweep")
    error_message = "No job is named sweep: the launcher's own schedule has that name."
  }
  validation {
    condition     = alltrue([for job in values(var.jobs) : (job.file == null) != (job.content == null)])
    error_message = "A job has either file, the job file's path, or content, its text."
  }
  validation {
    # Unusual TOML spellings are left to the job itself, which refuses a different name at boot.
    condition = alltrue([
      for name, job in var.jobs : name == try(
        one(regex("(?m)^\\s*\\[job\\][^\\[]*?^\\s*name\\s*=\\s*[\"']([^\"'\\n]*)[\"']", job.file == null ? job.content : file(job.file))), name
      )
    ])
    error_message = "The key of a job is the same as [job] name in its job file: instances look for their file by the key, and records and metrics have the file's name."
  }
  validation {
    condition     = alltrue([for job in values(var.jobs) : job.schedule == null || can(regex("^(cron|rate|at)\\(.+\\)$", job.schedule))])
    error_message = "A schedule is cron(…), rate(…) or at(…)."
  }
  validation {
    condition     = alltrue([for job in values(var.jobs) : job.deadline_minutes >= 5 && job.deadline_minutes <= 1440 && floor(job.deadline_minutes) == job.deadline_minutes])
    error_message = "deadline_minutes is a whole number from 5 to 1440: the unit ends a run after a day."
  }
  validation {
    condition = alltrue([
      for job in values(var.jobs) : job.silence_hours >= 0 && job.silence_hours <= 168 && floor(job.silence_hours) == job.silence_hours
    ])
    error_message = "silence_hours is a whole number from 1 to 168, which is as far as CloudWatch looks back, or 0 for no alarm."
  }
}

variable "ca_files" {
  description = <<-EOT
    Certificates that job files trust (ca_file), as PEM: name → path on this machine. An instance has each as /etc/stopgap/NAME.
    Amazon Linux does not trust RDS certificates by default: see docs/deploy.md.
  EOT
  type        = map(string)
  default     = {}
  validation {
    condition     = alltrue([for name in keys(var.ca_files) : can(regex("^[A-Za-z0-9][A-Za-z0-9._-]{0,63}\\.(pem|crt)$", name))])
    error_message = "Names are letters, digits, dots, - and _, and end with .pem or .crt."
  }
}

variable "job_binary" {
  description = "The static sync-job for the instances' architecture, built by `cargo xtask package`."
  type        = string
}

variable "launcher_zip" {
  description = "The launcher's zip with `bootstrap`, built by `cargo xtask package`."
  type        = string
}

variable "architecture" {
  description = "The architecture of instances and launcher: the one that job_binary and launcher_zip were built for."
  type        = string
  default     = "arm64"
  validation {
    condition     = contains(["arm64", "x86_64"], var.architecture)
    error_message = "arm64 or x86_64."
  }
}

variable "instance_type" {
  description = "Used if a job lists no instance types; null for m7g.large or m7i.large, depending on the architecture."
  type        = string
  default     = null
}

variable "image_id" {
  description = "A machine image built from ami/, or null for stock Amazon Linux 2023, which fetches the binary at boot."
  type        = string
  default     = null
}

variable "volume_kms_key_arn" {
  description = <<-EOT
    A customer managed key that encrypts the instances' disks, or null for the account's aws/ebs. Required if such a key encrypts the
    image or is the account's default for EBS.
  EOT
  type        = string
  default     = null
}

variable "vpc_id" {
  description = "The instances' network."
  type        = string
}

variable "subnet_ids" {
  description = "The instances' subnets, tried in order; each must reach the source, the target and AWS."
  type        = list(string)
  validation {
    condition     = length(var.subnet_ids) > 0
    error_message = "At least one subnet."
  }
}

variable "database_ports" {
  description = "TCP ports of source and target; instances may connect to these and to 443."
  type        = set(number)
  default     = [1433, 5432, 3306]
}

variable "database_cidrs" {
  description = "The databases' addresses. The default is everything that the network lets instances reach."
  type        = list(string)
  default     = ["0.0.0.0/0"]
}

variable "database_security_groups" {
  description = <<-EOT
    Security groups of databases, by any name: a rule lets the instances in, and goes with the stack. A group of another network needs
    an existing peering with it. Whatever defines these groups must not list their rules itself (ingress blocks of
    aws_security_group): it would remove this one.
  EOT
  type = map(object({
    id   = string
    port = number
  }))
  default = {}
  validation {
    condition     = alltrue([for group in values(var.database_security_groups) : can(regex("^sg-[0-9a-f]+$", group.id))])
    error_message = "A security group's id is written like sg-0123456789abcdef0."
  }
  validation {
    condition     = alltrue([for group in values(var.database_security_groups) : contains(var.database_ports, group.port)])
    error_message = "A port that the instances are let into is one of database_ports, or they could not go out to it."
  }
  validation {
    condition = length(var.database_security_groups) == length(distinct([
      for group in values(var.database_security_groups) : "${group.id} ${group.port}"
    ]))
    error_message = "A security group and a port are named once: EC2 refuses a second rule that says the same."
  }
}

variable "dns_cidrs" {
  description = <<-EOT
    The network's own DNS servers, such as 10.0.0.2/32, if its DHCP options name any. Amazon's need no rule.
  EOT
  type        = list(string)
  default     = []
  validation {
    condition     = alltrue([for cidr in var.dns_cidrs : can(cidrnetmask(cidr))])
    error_message = "Blocks of IPv4 addresses, such as 10.0.0.2/32."
  }
}

variable "secret_names" {
  description = <<-EOT
    Secrets to create for the logins that job files name, such as prod/erp. Terraform creates them empty, so its state holds no
    password; fill them once by hand: aws secretsmanager put-secret-value.
  EOT
  type        = set(string)
  default     = []
  validation {
    # Secrets Manager appends a hyphen and six characters to the name: a name that ends like that looks like the end of an ARN.
    condition = alltrue([
      for name in var.secret_names : can(regex("^[A-Za-z0-9/_+=.@-]{1,512}$", name)) && !can(regex("-[A-Za-z0-9]{6}$", name))
    ])
    error_message = "Names are 1 to 512 letters, digits and /_+=.@-, and do not end with a hyphen and six letters or digits."
  }
}

variable "secret_recovery_days" {
  description = <<-EOT
    How long a secret can be restored after it left secret_names or the stack was destroyed: 7 to 30 days, during which its name is
    taken; or 0 to delete it at once.
  EOT
  type        = number
  default     = 30
  validation {
    condition     = var.secret_recovery_days == 0 || contains(range(7, 31), var.secret_recovery_days)
    error_message = "0, or a whole number from 7 to 30, as Secrets Manager has it."
  }
}

variable "secret_arns" {
  description = "Existing secrets of Secrets Manager that job files name."
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
  description = "An existing SNS topic for summaries and alarms, or null to create one."
  type        = string
  default     = null
}

variable "extra_topic_arns" {
  description = "Further topics that [notify] topic of job files names."
  type        = list(string)
  default     = []
}

variable "topic_kms_key_arns" {
  description = <<-EOT
    Customer managed keys that encrypt existing topics. The key's own policy must let cloudwatch.amazonaws.com use it
    (kms:GenerateDataKey*, kms:Decrypt), or no alarm arrives.
  EOT
  type        = list(string)
  default     = []
}

variable "mail_addresses" {
  description = "Addresses that get the summaries; each must confirm its subscription."
  type        = set(string)
  default     = []
  validation {
    condition     = var.topic_arn != null || length(var.mail_addresses) > 0
    error_message = "Nobody would hear of anything: give mail_addresses, or a topic_arn that has subscribers."
  }
}

variable "failure_alarm_actions" {
  description = <<-EOT
    What the alarm on failed runs does, for example a pager's topic. Nothing by default: the run has published its summary already, and
    the alarm would mail the same people again.
  EOT
  type        = list(string)
  default     = []
}

variable "log_retention_days" {
  description = "How long CloudWatch keeps logs."
  type        = number
  default     = 90
}

variable "report_retention_days" {
  description = <<-EOT
    How long the bucket keeps the whole reports of runs and what was published of them (runs/). The sweep needs those of the last
    week.
  EOT
  type        = number
  default     = 90
  validation {
    condition     = var.report_retention_days >= 14 && floor(var.report_retention_days) == var.report_retention_days
    error_message = "A whole number of days, 14 or more: the launcher looks a week back."
  }
}

variable "head_retention_days" {
  description = "How long the bucket keeps the heads of run records (heads/), some hundred bytes each: what `sync-job history` lists."
  type        = number
  default     = 400
  validation {
    condition     = var.head_retention_days >= var.report_retention_days && floor(var.head_retention_days) == var.head_retention_days
    error_message = "A whole number of days, at least report_retention_days: a head says where its report is."
  }
}

variable "bucket_force_destroy" {
  description = "Whether destroying the stack also deletes the bucket with run records."
  type        = bool
  default     = false
}

variable "tags" {
  description = "Tags of everything. The instances' metadata service shows them."
  type        = map(string)
  default     = {}
  validation {
    # Instance metadata allows fewer characters in tags: EC2 would refuse the launch, not the apply.
    condition = alltrue([
      for key in keys(var.tags) : can(regex("^[A-Za-z0-9+=.,_:@-]{1,128}$", key)) && !contains([".", "..", "_index"], key)
    ])
    error_message = "Keys are letters, digits and + - = . , _ : @, without blanks and slashes, since instance metadata shows them."
  }
  validation {
    condition     = alltrue([for key in keys(var.tags) : !startswith(key, "aws:") && !startswith(key, "stopgap:")])
    error_message = "Keys that begin with aws: or stopgap: are taken."
  }
}
