# The launcher function.

resource "aws_sqs_queue" "dead_letters" {
  name                      = "${local.name}-launcher-dead-letters"
  message_retention_seconds = 1209600
  sqs_managed_sse_enabled   = true
  tags                      = local.tags
}

resource "aws_cloudwatch_log_group" "launcher" {
  #checkov:skip=CKV_AWS_158:CloudWatch encrypts logs with a key of its own; they hold no secrets, and values of rows are hidden (docs/limits.md)
  #checkov:skip=CKV_AWS_338:How long is for each environment to say; a year in prod
  name              = "/aws/lambda/${local.name}-launcher"
  retention_in_days = var.log_retention_days
  tags              = local.tags
}

resource "aws_lambda_function" "launcher" {
  #checkov:skip=CKV_AWS_50:One function that calls EC2, S3 and SNS: its log says what it did and when
  #checkov:skip=CKV_AWS_115:New accounts may reserve nothing; two events of one moment are kept apart by a conditional write to the bucket
  #checkov:skip=CKV_AWS_116:aws_lambda_function_event_invoke_config sends what failed for good to the dead-letter queue
  #checkov:skip=CKV_AWS_117:It calls AWS's public endpoints and no database; inside a VPC it would need a NAT gateway
  #checkov:skip=CKV_AWS_173:The environment names templates, subnets and the bucket; nothing of it is secret
  #checkov:skip=CKV_AWS_272:Terraform uploads the zip by its hash; who may change the function may change a signing profile, too
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
  tags             = local.tags

  environment {
    variables = {
      STOPGAP_JOBS        = jsonencode(local.launcher_jobs)
      STOPGAP_TOPIC_ARN   = local.topic_arn
      STOPGAP_ENVIRONMENT = var.environment
      STOPGAP_RUNS_BUCKET = aws_s3_bucket.artifacts.id
    }
  }

  depends_on = [aws_cloudwatch_log_group.launcher, aws_iam_role_policy.launcher]

  lifecycle {
    precondition {
      condition     = local.launcher_jobs_length <= local.launcher_jobs_limit
      error_message = "The launcher is told ${local.launcher_jobs_length} characters about its jobs, and Lambda takes ${local.launcher_jobs_limit}: name fewer jobs, subnets or instance types here, and make a second environment for the rest."
    }
  }
}

# Keeps an event that fails for good.
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
