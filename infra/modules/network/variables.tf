variable "name" {
  description = "Part of every name in this module."
  type        = string
}

variable "cidr" {
  description = "The network's addresses, divided into four subnets."
  type        = string
  default     = "10.80.0.0/20"
  validation {
    condition     = can(cidrhost(var.cidr, 0)) && try(tonumber(split("/", var.cidr)[1]) >= 16 && tonumber(split("/", var.cidr)[1]) <= 24, false)
    error_message = "A CIDR block from /16 to /24, such as 10.80.0.0/20: AWS takes no larger network, and no smaller subnets than a sixteenth of the smallest."
  }
}

variable "nat" {
  description = "Whether instances reach addresses outside AWS, for a source there. A NAT gateway and its address cost about 37 dollars a month."
  type        = bool
  default     = false
}

variable "session_manager" {
  description = <<-EOT
    Whether to create endpoints for Session Manager if there is no NAT gateway: about 29 dollars a month. Without them nobody gets a
    shell on an instance, and job files cannot be in Parameter Store; Terraform puts them in the bucket.
  EOT
  type        = bool
  default     = true
}

variable "peers" {
  description = <<-EOT
    Networks of this account and region to peer with, by any name: their addresses as seen from here, and the route tables of their
    subnets that need the route back. Database names there resolve to private addresses, the only ones that a peering reaches;
    set `resolve_names = false` if that network has no DNS hostnames.
  EOT
  type = map(object({
    vpc_id          = string
    cidrs           = set(string)
    route_table_ids = set(string)
    resolve_names   = optional(bool, true)
  }))
  default = {}
  validation {
    condition     = alltrue(flatten([for peer in values(var.peers) : [for cidr in peer.cidrs : can(cidrnetmask(cidr))]]))
    error_message = "cidrs are blocks of IPv4 addresses, such as 10.0.0.0/16."
  }
  validation {
    condition     = alltrue([for peer in values(var.peers) : length(peer.cidrs) > 0 && length(peer.route_table_ids) > 0])
    error_message = "A peer needs cidrs and route_table_ids: without routes in both directions nothing arrives."
  }
}

variable "tags" {
  description = "Tags of everything."
  type        = map(string)
  default     = {}
}
