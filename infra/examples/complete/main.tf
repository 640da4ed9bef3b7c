# Everything at once: a network, an Aurora PostgreSQL cluster that manages its own password, and a nightly job into it.
# Run `cargo xtask package` first, and put the source's login into a secret of yours.

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
  description = "Where everything is."
  type        = string
  default     = "eu-central-1"
}

variable "source_secret_arn" {
  description = "The secret with the SQL Server's host, port, database, user and password."
  type        = string
}

variable "mail_addresses" {
  description = "Who gets the summaries."
  type        = set(string)
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

resource "aws_vpc_security_group_ingress_rule" "cluster" {
  security_group_id            = aws_security_group.cluster.id
  description                  = "Stopgap"
  ip_protocol                  = "tcp"
  from_port                    = 5432
  to_port                      = 5432
  referenced_security_group_id = module.job.security_group_id
}

resource "aws_db_subnet_group" "cluster" {
  name       = "stopgap-example"
  subnet_ids = module.network.private_subnet_ids
}

resource "aws_rds_cluster" "target" {
  cluster_identifier                  = "stopgap-example"
  engine                              = "aurora-postgresql"
  database_name                       = "erp"
  master_username                     = "stopgap"
  manage_master_user_password         = true
  iam_database_authentication_enabled = true
  storage_encrypted                   = true
  db_subnet_group_name                = aws_db_subnet_group.cluster.name
  vpc_security_group_ids              = [aws_security_group.cluster.id]
  skip_final_snapshot                 = true
  serverlessv2_scaling_configuration {
    min_capacity = 0.5
    max_capacity = 8
  }
}

resource "aws_rds_cluster_instance" "target" {
  cluster_identifier = aws_rds_cluster.target.id
  identifier_prefix  = "stopgap-example-"
  engine             = aws_rds_cluster.target.engine
  engine_version     = aws_rds_cluster.target.engine_version
  instance_class     = "db.serverless"
}

# What the job file cannot know beforehand is in the secrets: the source's has its host, the cluster's only user and password,
# so that host and database stand in the file. `terraform output cluster_endpoint` gives the host after the first apply.
module "job" {
  source      = "../../modules/job"
  environment = "example"
  jobs = {
    nightly-erp = {
      file              = "${path.module}/nightly-erp.toml"
      schedule          = "cron(0 4 * * ? *)"
      schedule_timezone = "Europe/Berlin"
    }
  }
  job_binary     = "../../../dist/sync-job-arm64"
  launcher_zip   = "../../../dist/launcher-arm64.zip"
  vpc_id         = module.network.vpc_id
  subnet_ids     = module.network.private_subnet_ids
  secret_arns    = [var.source_secret_arn, aws_rds_cluster.target.master_user_secret[0].secret_arn]
  mail_addresses = var.mail_addresses
}

output "cluster_endpoint" {
  description = "For [target] host in nightly-erp.toml."
  value       = aws_rds_cluster.target.endpoint
}

output "cluster_secret_arn" {
  description = "For [target] secret in nightly-erp.toml."
  value       = aws_rds_cluster.target.master_user_secret[0].secret_arn
}
