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

locals {
  dist       = "${path.module}/../../dist"
  vpc_id     = var.vpc_id == null ? module.network[0].vpc_id : var.vpc_id
  subnet_ids = var.vpc_id == null ? module.network[0].private_subnet_ids : var.subnet_ids
}

module "network" {
  count           = var.vpc_id == null ? 1 : 0
  source          = "../modules/network"
  name            = "stopgap-${var.environment}"
  cidr            = var.network_cidr
  peers           = var.database_networks
  nat             = var.source_outside_aws
  session_manager = var.session_manager
  tags            = var.tags
}

module "job" {
  source                   = "../modules/job"
  environment              = var.environment
  jobs                     = var.jobs
  ca_files                 = var.ca_files
  architecture             = var.architecture
  job_binary               = coalesce(var.job_binary, "${local.dist}/sync-job-${var.architecture}")
  launcher_zip             = coalesce(var.launcher_zip, "${local.dist}/launcher-${var.architecture}.zip")
  instance_type            = var.instance_type
  image_id                 = var.image_id
  volume_kms_key_arn       = var.volume_kms_key_arn
  vpc_id                   = local.vpc_id
  subnet_ids               = local.subnet_ids
  database_ports           = var.database_ports
  database_cidrs           = var.database_cidrs
  database_security_groups = var.database_security_groups
  dns_cidrs                = var.dns_cidrs
  secret_names             = var.secret_names
  secret_arns              = var.secret_arns
  secret_kms_key_arns      = var.secret_kms_key_arns
  iam_database_users       = var.iam_database_users
  mail_addresses           = var.mail_addresses
  topic_arn                = var.topic_arn
  extra_topic_arns         = var.extra_topic_arns
  topic_kms_key_arns       = var.topic_kms_key_arns
  failure_alarm_actions    = var.failure_alarm_actions
  tags                     = var.tags

  bucket_force_destroy  = var.bucket_force_destroy
  report_retention_days = var.report_retention_days
  head_retention_days   = var.head_retention_days
  secret_recovery_days  = var.secret_recovery_days
  log_retention_days    = var.log_retention_days
}

# The state of one environment and the variables of another would replace everything.
resource "terraform_data" "environment" {
  input = var.environment
  lifecycle {
    ignore_changes = [input]
    postcondition {
      condition     = self.output == var.environment
      error_message = "This state is of another environment than the variables: terraform init -reconfigure -backend-config=${var.environment}.tfbackend"
    }
  }
}
