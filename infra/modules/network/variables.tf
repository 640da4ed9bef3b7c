variable "name" {
  description = "Part of the names of everything here."
  type        = string
}

variable "cidr" {
  description = "The network's addresses; four subnets are cut from it."
  type        = string
  default     = "10.80.0.0/20"
  validation {
    condition     = can(cidrhost(var.cidr, 0)) && try(tonumber(split("/", var.cidr)[1]) >= 16 && tonumber(split("/", var.cidr)[1]) <= 24, false)
    error_message = "A CIDR block from /16 to /24, such as 10.80.0.0/20: AWS takes no larger network, and no smaller subnets than a sixteenth of the smallest."
  }
}

variable "nat" {
  description = "Whether instances reach what is outside AWS: needed where the source is. One NAT gateway and its address cost about 37 dollars a month."
  type        = bool
  default     = false
}

variable "session_manager" {
  description = <<-EOT
    Whether endpoints for Session Manager are made where there is no NAT gateway: about 29 dollars a month. Without them nobody
    gets a shell on an instance, and job files cannot be in Parameter Store; Terraform puts them into the bucket.
  EOT
  type        = bool
  default     = true
}

variable "tags" {
  description = "Tags of everything."
  type        = map(string)
  default     = {}
}
