# The launcher function, and what it may do.

resource "aws_sqs_queue" "dead_letters" {
  name                      = "${local.name}-launcher-dead-letters"
  message_retention_seconds = 1209600
  sqs_managed_sse_enabled   = true
  tags                      = local.tags
}

resource "aws_cloudwatch_log_group" "launcher" {
  name              = "/aws/lambda/${local.name}-launcher"
  retention_in_days = var.log_retention_days
  tags              = local.tags
}

resource "aws_lambda_function" "launcher" {
  function_name    = "${local.name}-launcher"
  description      = "Starts the instances of Stopgap's jobs, and speaks for those that could not"
  role             = aws_iam_role.launcher.arn
  filename         = var.launcher_zip
  source_code_hash = filebase64sha256(var.launcher_zip)
  runtime          = "provided.al2023"
  architectures    = [var.architecture]
  handler          = "bootstrap"
  memory_size      = 256
  timeout          = 300
  # Two events at once look for a running instance one after the other.
  reserved_concurrent_executions = 1
  tags                           = local.tags

  environment {
    variables = {
      STOPGAP_JOBS        = jsonencode(local.launcher_jobs)
      STOPGAP_TOPIC_ARN   = local.topic_arn
      STOPGAP_ENVIRONMENT = var.environment
      STOPGAP_RUNS_BUCKET = aws_s3_bucket.artifacts.id
    }
  }

  depends_on = [aws_cloudwatch_log_group.launcher, aws_iam_role_policy.launcher]
}

# An event that fails for good is kept.
resource "aws_lambda_function_event_invoke_config" "launcher" {
  function_name                = aws_lambda_function.launcher.function_name
  maximum_retry_attempts       = 2
  maximum_event_age_in_seconds = 3600
  destination_config {
    on_failure {
      destination = aws_sqs_queue.dead_letters.arn
    }
  }
}

data "aws_iam_policy_document" "assume_launcher" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "Service"
      identifiers = ["lambda.amazonaws.com"]
    }
  }
}

resource "aws_iam_role" "launcher" {
  name_prefix        = "${local.name}-launcher-"
  assume_role_policy = data.aws_iam_policy_document.assume_launcher.json
  tags               = local.tags
}

data "aws_iam_policy_document" "launcher" {
  # Describing instances knows no resources.
  statement {
    sid       = "Look"
    actions   = ["ec2:DescribeInstances"]
    resources = ["*"]
  }
  statement {
    sid       = "RunFromTemplate"
    actions   = ["ec2:RunInstances"]
    resources = ["arn:${local.partition}:ec2:${local.region}:${local.account}:instance/*", "arn:${local.partition}:ec2:${local.region}:${local.account}:volume/*"]
    condition {
      test     = "ArnEquals"
      variable = "ec2:LaunchTemplate"
      values   = [for template in aws_launch_template.job : template.arn]
    }
    condition {
      test     = "StringEquals"
      variable = "aws:RequestTag/stopgap:environment"
      values   = [var.environment]
    }
  }
  statement {
    sid     = "RunWith"
    actions = ["ec2:RunInstances"]
    resources = concat(
      [for template in aws_launch_template.job : template.arn],
      [for subnet in var.subnet_ids : "arn:${local.partition}:ec2:${local.region}:${local.account}:subnet/${subnet}"],
      [
        aws_security_group.instance.arn,
        "arn:${local.partition}:ec2:${local.region}:${local.account}:network-interface/*",
        "arn:${local.partition}:ec2:${local.region}::image/*",
      ],
    )
  }
  statement {
    sid       = "TagWhatIsLaunched"
    actions   = ["ec2:CreateTags"]
    resources = ["arn:${local.partition}:ec2:${local.region}:${local.account}:instance/*", "arn:${local.partition}:ec2:${local.region}:${local.account}:volume/*"]
    condition {
      test     = "StringEquals"
      variable = "ec2:CreateAction"
      values   = ["RunInstances"]
    }
  }
  statement {
    sid       = "EndOurs"
    actions   = ["ec2:TerminateInstances", "ec2:CreateTags", "ec2:GetConsoleOutput"]
    resources = ["arn:${local.partition}:ec2:${local.region}:${local.account}:instance/*"]
    condition {
      test     = "StringEquals"
      variable = "aws:ResourceTag/stopgap:environment"
      values   = [var.environment]
    }
  }
  statement {
    sid       = "PassRole"
    actions   = ["iam:PassRole"]
    resources = [aws_iam_role.instance.arn]
    condition {
      test     = "StringEquals"
      variable = "iam:PassedToService"
      values   = ["ec2.amazonaws.com"]
    }
  }
  statement {
    sid       = "Records"
    actions   = ["s3:GetObject", "s3:PutObject"]
    resources = ["${aws_s3_bucket.artifacts.arn}/runs/*"]
  }
  statement {
    sid       = "ListRecords"
    actions   = ["s3:ListBucket"]
    resources = [aws_s3_bucket.artifacts.arn]
  }
  statement {
    sid       = "Summary"
    actions   = ["sns:Publish"]
    resources = [local.topic_arn]
  }
  statement {
    sid       = "DeadLetters"
    actions   = ["sqs:SendMessage"]
    resources = [aws_sqs_queue.dead_letters.arn]
  }
  statement {
    sid       = "Logs"
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    resources = ["${aws_cloudwatch_log_group.launcher.arn}:*"]
  }
}

resource "aws_iam_role_policy" "launcher" {
  name   = "launcher"
  role   = aws_iam_role.launcher.id
  policy = data.aws_iam_policy_document.launcher.json
}
