# Notifications of runs and of silence.

locals {
  # Jobs that should succeed regularly.
  watched_jobs = {
    for name, job in var.jobs : name => job
    if job.schedule != null && !startswith(coalesce(job.schedule, "none"), "at(") && job.silence_hours > 0
  }
}

resource "aws_sns_topic" "summaries" {
  count             = var.topic_arn == null ? 1 : 0
  name              = "${local.name}-summaries"
  kms_master_key_id = aws_kms_key.topic[0].arn
  tags              = local.tags
}

# CloudWatch alarms cannot publish through the key that AWS manages for SNS.
resource "aws_kms_key" "topic" {
  count                   = var.topic_arn == null ? 1 : 0
  description             = "Messages of ${local.name}"
  enable_key_rotation     = true
  deletion_window_in_days = 7
  policy                  = data.aws_iam_policy_document.topic_key.json
  tags                    = local.tags
}

data "aws_iam_policy_document" "topic_key" {
  #checkov:skip=CKV_AWS_109:In a key's own policy, * is this key, and the account's own administrators must be able to manage it
  #checkov:skip=CKV_AWS_111:As above
  #checkov:skip=CKV_AWS_356:As above
  statement {
    sid       = "Account"
    actions   = ["kms:*"]
    resources = ["*"]
    principals {
      type        = "AWS"
      identifiers = ["arn:${local.partition}:iam::${local.account}:root"]
    }
  }
  # No condition: AWS does not document that CloudWatch names an account when it uses the key.
  statement {
    sid       = "Alarms"
    actions   = ["kms:GenerateDataKey*", "kms:Decrypt"]
    resources = ["*"]
    principals {
      type        = "Service"
      identifiers = ["cloudwatch.amazonaws.com"]
    }
  }
  statement {
    sid       = "OurRoles"
    actions   = ["kms:GenerateDataKey*", "kms:Decrypt"]
    resources = ["*"]
    principals {
      type        = "AWS"
      identifiers = [aws_iam_role.instance.arn, aws_iam_role.launcher.arn]
    }
  }
}

resource "aws_sns_topic_subscription" "mail" {
  for_each  = var.mail_addresses
  topic_arn = local.topic_arn
  protocol  = "email"
  endpoint  = each.value
}

# Events that failed at every try. A failed launch that was notified is not among them: the next try sees that and succeeds.
resource "aws_cloudwatch_metric_alarm" "dead_letters" {
  alarm_name          = "${local.name}-dead-letters"
  alarm_description   = "An event reached nobody: a run may not have been started, or not been reported."
  namespace           = "AWS/SQS"
  metric_name         = "ApproximateNumberOfMessagesVisible"
  dimensions          = { QueueName = aws_sqs_queue.dead_letters.name }
  statistic           = "Maximum"
  period              = 300
  evaluation_periods  = 1
  threshold           = 0
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = [local.topic_arn]
  tags                = local.tags
}

# The launcher prints two figures for each ended run, in CloudWatch's embedded metric format.
resource "aws_cloudwatch_metric_alarm" "failed" {
  for_each            = var.jobs
  alarm_name          = "${local.name}-${each.key}-failed"
  alarm_description   = "A run of ${each.key} did not end well; its summary says why."
  namespace           = "Stopgap"
  metric_name         = "Failed"
  dimensions          = { Job = each.key, Environment = var.environment }
  statistic           = "Sum"
  period              = 300
  evaluation_periods  = 1
  threshold           = 0
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.failure_alarm_actions
  tags                = local.tags
}

resource "aws_cloudwatch_metric_alarm" "silence" {
  for_each            = local.watched_jobs
  alarm_name          = "${local.name}-${each.key}-silence"
  alarm_description   = "No successful run of ${each.key} in ${each.value.silence_hours} hours, or none yet."
  namespace           = "Stopgap"
  metric_name         = "Succeeded"
  dimensions          = { Job = each.key, Environment = var.environment }
  statistic           = "Sum"
  period              = 3600
  evaluation_periods  = each.value.silence_hours
  datapoints_to_alarm = each.value.silence_hours
  threshold           = 1
  comparison_operator = "LessThanThreshold"
  treat_missing_data  = "breaching"
  alarm_actions       = [local.topic_arn]
  ok_actions          = [local.topic_arn]
  tags                = local.tags
}
