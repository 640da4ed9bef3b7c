locals {
  name          = "stopgap-${var.environment}"
  account       = data.aws_caller_identity.current.account_id
  partition     = data.aws_partition.current.partition
  region        = data.aws_region.current.name
  ec2           = "arn:${local.partition}:ec2:${local.region}:${local.account}"
  topic_arn     = var.topic_arn == null ? aws_sns_topic.summaries[0].arn : var.topic_arn
  topic_arns    = concat([local.topic_arn], var.extra_topic_arns)
  tags          = merge(var.tags, { "stopgap:environment" = var.environment })
  instance_type = coalesce(var.instance_type, var.architecture == "arm64" ? "m7g.large" : "m7i.large")
  uses_spot     = anytrue([for job in values(var.jobs) : job.spot])

  # What the launcher knows about each job.
  launcher_jobs = {
    for name, job in var.jobs : name => {
      launch_template_id = aws_launch_template.job[name].id
      subnets            = var.subnet_ids
      security_groups    = [aws_security_group.instance.id]
      instance_types     = job.instance_types
      spot               = job.spot
      deadline_minutes   = job.deadline_minutes
    }
  }
  # The same with ids of real length, so that its size is known before anything is created.
  launcher_jobs_length = length(jsonencode({
    for name, job in var.jobs : name => {
      launch_template_id = "lt-00000000000000000"
      subnets            = [for subnet in var.subnet_ids : "subnet-00000000000000000"]
      security_groups    = ["sg-00000000000000000"]
      instance_types     = job.instance_types
      spot               = job.spot
      deadline_minutes   = job.deadline_minutes
    }
  }))
  # Lambda: "The total size of all environment variables doesn't exceed 4 KB"; the rest is for the others.
  launcher_jobs_limit = 4096 - 512
}

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}
