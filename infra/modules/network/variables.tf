variable "name" {
  description = "Part of the names of everything here."
  type        = string
}

variable "cidr" {
  description = "The network's addresses; four subnets are cut from it."
  type        = string
  default     = "10.80.0.0/20"
  validation {
    condition     = can(cidrsubnet(var.cidr, 4, 15))
    error_message = "A CIDR block with room for sixteen subnets, such as 10.80.0.0/20."
  }
}

variable "nat" {
  description = "Whether instances reach what is outside AWS: needed where the source is. One NAT gateway costs about 33 dollars a month."
  type        = bool
  default     = false
}

variable "tags" {
  description = "Tags of everything."
  type        = map(string)
  default     = {}
}
