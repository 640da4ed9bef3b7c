locals {
  name      = "stopgap-${var.environment}"
  account   = data.aws_caller_identity.current.account_id
  partition = data.aws_partition.current.partition
  region    = data.aws_region.current.name
  topic_arn = var.topic_arn == null ? aws_sns_topic.summaries[0].arn : var.topic_arn
  tags      = merge(var.tags, { "stopgap:environment" = var.environment })

  # What the launcher knows of each job.
  launcher_jobs = {
    for name, job in var.jobs : name => {
      launch_template_id = aws_launch_template.job[name].id
      subnets            = var.subnet_ids
      instance_types     = job.instance_types
      spot               = job.spot
      deadline_minutes   = job.deadline_minutes
    }
  }
}

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}
