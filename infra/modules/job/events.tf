# What invokes the launcher: schedules, the sweep, and ended instances.

data "aws_iam_policy_document" "assume_scheduler" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "Service"
      identifiers = ["scheduler.amazonaws.com"]
    }
    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [local.account]
    }
  }
}

resource "aws_iam_role" "scheduler" {
  name_prefix        = "${local.name}-scheduler-"
  assume_role_policy = data.aws_iam_policy_document.assume_scheduler.json
  tags               = local.tags
}

data "aws_iam_policy_document" "scheduler" {
  # The ARN is written out: the function has a precondition, so with a reference every plan that changes its zip would show this
  # policy as known after apply.
  statement {
    actions   = ["lambda:InvokeFunction"]
    resources = ["arn:${local.partition}:lambda:${local.region}:${local.account}:function:${local.name}-launcher"]
  }
  statement {
    actions   = ["sqs:SendMessage"]
    resources = [aws_sqs_queue.dead_letters.arn]
  }
}

resource "aws_iam_role_policy" "scheduler" {
  name   = "invoke"
  role   = aws_iam_role.scheduler.id
  policy = data.aws_iam_policy_document.scheduler.json
}

resource "aws_scheduler_schedule_group" "stopgap" {
  name = local.name
  tags = local.tags
}

resource "aws_scheduler_schedule" "job" {
  #checkov:skip=CKV_AWS_297:The input is a job's name; EventBridge encrypts it with a key of its own
  for_each                     = { for name, job in var.jobs : name => job if job.schedule != null }
  name                         = each.key
  group_name                   = aws_scheduler_schedule_group.stopgap.name
  schedule_expression          = each.value.schedule
  schedule_expression_timezone = each.value.schedule_timezone

  flexible_time_window {
    mode = "OFF"
  }

  target {
    arn      = aws_lambda_function.launcher.arn
    role_arn = aws_iam_role.scheduler.arn
    # jsonencode would escape the angle brackets of the scheduler's own attributes. The execution's id is another for each attempt.
    input = "{\"job\":\"${each.key}\",\"schedule\":{\"arn\":\"<aws.scheduler.schedule-arn>\",\"time\":\"<aws.scheduler.scheduled-time>\"}}"
    dead_letter_config {
      arn = aws_sqs_queue.dead_letters.arn
    }
    retry_policy {
      maximum_event_age_in_seconds = 3600
      maximum_retry_attempts       = 5
    }
  }
}

# Every quarter of an hour, so a missing notification is at most that late.
resource "aws_scheduler_schedule" "sweep" {
  #checkov:skip=CKV_AWS_297:The input is a job's name; EventBridge encrypts it with a key of its own
  name                = "sweep"
  group_name          = aws_scheduler_schedule_group.stopgap.name
  schedule_expression = "rate(15 minutes)"

  flexible_time_window {
    mode = "OFF"
  }

  target {
    arn      = aws_lambda_function.launcher.arn
    role_arn = aws_iam_role.scheduler.arn
    input    = jsonencode({ sweep = true })
    dead_letter_config {
      arn = aws_sqs_queue.dead_letters.arn
    }
    # The next sweep makes up for a lost one.
    retry_policy {
      maximum_event_age_in_seconds = 900
      maximum_retry_attempts       = 2
    }
  }
}

# EC2's events carry no tags: the launcher describes the instance and ignores those of others.
resource "aws_cloudwatch_event_rule" "instance_ended" {
  name        = "${local.name}-instance-ended"
  description = "The launcher looks whether the instance's run was reported"
  event_pattern = jsonencode({
    source        = ["aws.ec2"]
    "detail-type" = ["EC2 Instance State-change Notification"]
    detail        = { state = ["stopped", "terminated"] }
  })
  tags = local.tags
}

resource "aws_cloudwatch_event_target" "instance_ended" {
  rule = aws_cloudwatch_event_rule.instance_ended.name
  arn  = aws_lambda_function.launcher.arn
  dead_letter_config {
    arn = aws_sqs_queue.dead_letters.arn
  }
  retry_policy {
    maximum_event_age_in_seconds = 3600
    maximum_retry_attempts       = 5
  }
}

resource "aws_lambda_permission" "instance_ended" {
  statement_id  = "InstanceEnded"
  action        = "lambda:InvokeFunction"
  function_name = aws_lambda_function.launcher.function_name
  principal     = "events.amazonaws.com"
  source_arn    = aws_cloudwatch_event_rule.instance_ended.arn
}

data "aws_iam_policy_document" "dead_letters" {
  statement {
    actions   = ["sqs:SendMessage"]
    resources = [aws_sqs_queue.dead_letters.arn]
    principals {
      type        = "Service"
      identifiers = ["events.amazonaws.com"]
    }
    condition {
      test     = "ArnEquals"
      variable = "aws:SourceArn"
      values   = [aws_cloudwatch_event_rule.instance_ended.arn]
    }
  }
}

resource "aws_sqs_queue_policy" "dead_letters" {
  queue_url = aws_sqs_queue.dead_letters.id
  policy    = data.aws_iam_policy_document.dead_letters.json
}
