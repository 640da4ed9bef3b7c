terraform {
  required_version = ">= 1.9"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.60"
    }
  }
}

provider "aws" {
  region = var.region
}

module "network" {
  count  = var.vpc_id == null ? 1 : 0
  source = "../../modules/network"
  name   = "stopgap-dev"
  nat    = var.source_outside_aws
}

module "job" {
  source         = "../../modules/job"
  environment    = "dev"
  jobs           = var.jobs
  job_binary     = var.job_binary
  launcher_zip   = var.launcher_zip
  architecture   = var.architecture
  instance_type  = var.instance_type
  image_id       = var.image_id
  vpc_id         = var.vpc_id == null ? module.network[0].vpc_id : var.vpc_id
  subnet_ids     = var.vpc_id == null ? module.network[0].private_subnet_ids : var.subnet_ids
  secret_arns    = var.secret_arns
  mail_addresses = var.mail_addresses

  # Nothing here need outlive the stack.
  bucket_force_destroy = true
  log_retention_days   = 14
}
