variable "region" {
  type        = string
  description = "The region to build and use the image in."
  default     = "eu-central-1"
  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "A region is written like eu-central-1."
  }
}

variable "name_prefix" {
  type        = string
  description = "The beginning of the images' names; architecture and time follow."
  default     = "stopgap"
  validation {
    condition     = can(regex("^[A-Za-z0-9-]{3,60}$", var.name_prefix))
    error_message = "3 to 60 letters, digits and hyphens."
  }
}

variable "dist" {
  type        = string
  description = "The directory with the binaries and SHA256SUMS, filled by `cargo xtask package`."
  default     = "../dist"
  validation {
    condition     = length(var.dist) > 0
    error_message = "Name the directory that `cargo xtask package` filled."
  }
}

variable "subnet_id" {
  type        = string
  description = "The build machine's subnet, or empty for the default network. It needs a way out to AWS and none in."
  default     = ""
  validation {
    condition     = can(regex("^(subnet-[0-9a-f]+)?$", var.subnet_id))
    error_message = "A subnet is written like subnet-0123456789abcdef0."
  }
}

variable "kms_key_id" {
  type        = string
  description = "The KMS key that encrypts the image, or empty for the account's default for EBS. Pass your own key to Terraform as volume_kms_key_arn too, or no instance starts from the image."
  default     = ""
  validation {
    condition     = can(regex("^[A-Za-z0-9:/_-]*$", var.kms_key_id))
    error_message = "Give a key's id or ARN, an alias as alias/name, or nothing."
  }
}

variable "volume_gibibytes" {
  type        = number
  description = "The size of the root volume; rows never touch it."
  default     = 4
  validation {
    condition     = var.volume_gibibytes >= 3 && var.volume_gibibytes <= 64
    error_message = "From 3, which Amazon Linux needs, to 64."
  }
}

variable "tags" {
  type        = map(string)
  description = "Additional tags of the images, their snapshots and their build machines."
  default     = {}
  validation {
    condition     = length(var.tags) <= 40
    error_message = "EC2 allows 50 tags, and some are ours."
  }
}

variable "skip_create_ami" {
  type        = bool
  description = "To try a change: runs the whole build and keeps no image."
  default     = false
  validation {
    condition     = var.skip_create_ami == true || var.skip_create_ami == false
    error_message = "Must be true or false."
  }
}
