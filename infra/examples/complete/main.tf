# Everything in one apply: a network, an Aurora PostgreSQL cluster that manages its own password, and a nightly job into it. Terraform
# fills in what the job file cannot know beforehand. First run `cargo xtask package`, put the source's login into a secret of yours,
# and put the certificates of RDS beside this file:
#
#   curl -fsSo rds-global-bundle.pem https://truststore.pki.rds.amazonaws.com/global/global-bundle.pem

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

variable "region" {
  description = "The region of everything."
  type        = string
  default     = "eu-central-1"
}

variable "source_secret_arn" {
  description = "The secret with the SQL Server's host, port, database, user and password."
  type        = string
}

variable "source_ca_file" {
  description = "The authority's certificates for the SQL Server, as PEM; null if a public authority signed its certificate."
  type        = string
  default     = null
}

variable "mail_addresses" {
  description = "Addresses that get the summaries; each must confirm its subscription."
  type        = set(string)
}

variable "architecture" {
  description = "arm64 or x86_64: the architecture that `cargo xtask package` built for."
  type        = string
  default     = "arm64"
}

locals {
  cluster      = "stopgap-example"
  cluster_logs = toset(["postgresql"])
}

module "network" {
  source = "../../modules/network"
  name   = "stopgap-example"
  nat    = true
}

resource "aws_security_group" "cluster" {
  name_prefix = "stopgap-example-"
  description = "The cluster, for Stopgap's instances"
  vpc_id      = module.network.vpc_id
}

resource "aws_db_subnet_group" "cluster" {
  name       = "stopgap-example"
  subnet_ids = module.network.private_subnet_ids
}

# Otherwise RDS creates it, keeps its logs for ever and leaves it behind.
resource "aws_cloudwatch_log_group" "cluster" {
  #checkov:skip=CKV_AWS_158:CloudWatch encrypts logs with a key of its own
  #checkov:skip=CKV_AWS_338:An example is destroyed again
  for_each          = local.cluster_logs
  name              = "/aws/rds/cluster/${local.cluster}/${each.key}"
  retention_in_days = 14
}

resource "aws_rds_cluster" "target" {
  #checkov:skip=CKV_AWS_139:An example is destroyed again
  #checkov:skip=CKV2_AWS_8:An example holds a copy; the next run makes it again
  #checkov:skip=CKV_AWS_327:The account's own key for RDS serves
  #checkov:skip=CKV2_AWS_27:A log of every statement would hold the rows that are copied
  cluster_identifier                  = local.cluster
  engine                              = "aurora-postgresql"
  database_name                       = "erp"
  master_username                     = "stopgap"
  manage_master_user_password         = true
  iam_database_authentication_enabled = true
  storage_encrypted                   = true
  copy_tags_to_snapshot               = true
  enabled_cloudwatch_logs_exports     = local.cluster_logs
  db_subnet_group_name                = aws_db_subnet_group.cluster.name
  vpc_security_group_ids              = [aws_security_group.cluster.id]
  skip_final_snapshot                 = true
  serverlessv2_scaling_configuration {
    min_capacity = 0.5
    max_capacity = 8
  }
  depends_on = [aws_cloudwatch_log_group.cluster]
}

resource "aws_rds_cluster_instance" "target" {
  #checkov:skip=CKV_AWS_118:CloudWatch's ordinary metrics serve an example
  #checkov:skip=CKV_AWS_353:As above
  cluster_identifier         = aws_rds_cluster.target.id
  identifier_prefix          = "stopgap-example-"
  engine                     = aws_rds_cluster.target.engine
  engine_version             = aws_rds_cluster.target.engine_version
  instance_class             = "db.serverless"
  auto_minor_version_upgrade = true
}

module "job" {
  source      = "../../modules/job"
  environment = "example"
  jobs = {
    nightly-erp = {
      content = templatefile("${path.module}/nightly-erp.toml.tftpl", {
        source_secret = var.source_secret_arn
        source_ca     = var.source_ca_file != null
        host          = aws_rds_cluster.target.endpoint
        target_secret = aws_rds_cluster.target.master_user_secret[0].secret_arn
      })
      schedule          = "cron(0 4 * * ? *)"
      schedule_timezone = "Europe/Berlin"
    }
  }
  ca_files = merge(
    { "rds-global-bundle.pem" = "${path.module}/rds-global-bundle.pem" },
    var.source_ca_file == null ? {} : { "source-ca.pem" = var.source_ca_file },
  )
  architecture             = var.architecture
  job_binary               = "${path.module}/../../../dist/sync-job-${var.architecture}"
  launcher_zip             = "${path.module}/../../../dist/launcher-${var.architecture}.zip"
  vpc_id                   = module.network.vpc_id
  subnet_ids               = module.network.private_subnet_ids
  secret_arns              = [var.source_secret_arn, aws_rds_cluster.target.master_user_secret[0].secret_arn]
  mail_addresses           = var.mail_addresses
  database_security_groups = { cluster = { id = aws_security_group.cluster.id, port = 5432 } }

  # An example gets destroyed again.
  bucket_force_destroy = true
  secret_recovery_days = 0
}

output "launcher" {
  description = "For runs by hand: aws lambda invoke --function-name …"
  value       = module.job.launcher
}

output "bucket" {
  description = "Job files and run records: sync-job history --at s3://…"
  value       = module.job.bucket
}

output "topic_arn" {
  description = "The topic of summaries."
  value       = module.job.topic_arn
}

output "launcher_environment" {
  description = "The launcher's environment variables."
  value       = module.job.launcher_environment
}

output "cluster_endpoint" {
  description = "The target's endpoint, to query the copied tables."
  value       = aws_rds_cluster.target.endpoint
}

output "cluster_secret_arn" {
  description = "The secret with the target's user and password, managed by RDS."
  value       = aws_rds_cluster.target.master_user_secret[0].secret_arn
}
