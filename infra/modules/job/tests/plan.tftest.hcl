# What a plan must promise, without any AWS.

mock_provider "aws" {
  mock_data "aws_caller_identity" {
    defaults = { account_id = "123456789012" }
  }
  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }
  mock_data "aws_region" {
    defaults = { name = "eu-central-1" }
  }
  mock_data "aws_iam_policy_document" {
    defaults = { json = "{}" }
  }
  mock_data "aws_ssm_parameter" {
    defaults = { value = "ami-0123456789abcdef0" }
  }
}

variables {
  environment  = "test"
  job_binary   = "./tests/artifact.txt"
  launcher_zip = "./tests/artifact.txt"
  vpc_id       = "vpc-1"
  subnet_ids   = ["subnet-a", "subnet-b"]
  jobs = {
    nightly-erp = {
      file              = "./tests/artifact.txt"
      schedule          = "cron(0 4 * * ? *)"
      schedule_timezone = "Europe/Berlin"
      instance_types    = ["m7g.large", "m6g.large"]
      spot              = true
      silence_hours     = 26
    }
    by-hand = { file = "./tests/artifact.txt" }
  }
}

run "an_instance_is_closed_and_ends" {
  command = plan

  assert {
    condition     = alltrue([for template in aws_launch_template.job : template.metadata_options[0].http_tokens == "required"])
    error_message = "Instance metadata must be version 2."
  }
  assert {
    condition     = alltrue([for template in aws_launch_template.job : template.metadata_options[0].instance_metadata_tags == "enabled"])
    error_message = "The job reads its settings from the instance's tags."
  }
  assert {
    condition     = alltrue([for template in aws_launch_template.job : template.instance_initiated_shutdown_behavior == "terminate"])
    error_message = "An instance that switches itself off must be gone."
  }
  assert {
    condition     = alltrue([for template in aws_launch_template.job : template.block_device_mappings[0].ebs[0].encrypted == "true"])
    error_message = "Volumes must be encrypted."
  }
  assert {
    condition     = alltrue([for rule in aws_vpc_security_group_egress_rule.database : contains([1433, 3306, 5432], rule.from_port)])
    error_message = "Only databases and AWS may be reached."
  }
}

run "schedules_and_alarms_follow_the_jobs" {
  command = plan

  assert {
    condition     = keys(aws_scheduler_schedule.job) == ["nightly-erp"]
    error_message = "A job without a schedule has none."
  }
  assert {
    condition     = aws_scheduler_schedule.job["nightly-erp"].schedule_expression_timezone == "Europe/Berlin"
    error_message = "The schedule has its time zone."
  }
  assert {
    condition     = strcontains(aws_scheduler_schedule.job["nightly-erp"].target[0].input, "<aws.scheduler.execution-id>")
    error_message = "The run's id follows from the schedule's execution."
  }
  assert {
    condition     = aws_cloudwatch_metric_alarm.silence["nightly-erp"].evaluation_periods == 26
    error_message = "Silence is noticed after the hours that are asked for."
  }
  assert {
    condition     = aws_lambda_function.launcher.reserved_concurrent_executions == 1
    error_message = "Two events at once must not start two instances."
  }
}

run "the_bucket_is_private" {
  command = plan

  assert {
    condition     = aws_s3_bucket_public_access_block.artifacts.block_public_policy && aws_s3_bucket_public_access_block.artifacts.restrict_public_buckets
    error_message = "Nothing in the bucket is public."
  }
  assert {
    condition     = aws_s3_bucket_versioning.artifacts.versioning_configuration[0].status == "Enabled"
    error_message = "Job files have a history."
  }
}

run "an_existing_topic_is_used" {
  command = plan
  variables {
    topic_arn = "arn:aws:sns:eu-central-1:123456789012:ours"
  }
  assert {
    condition     = length(aws_sns_topic.summaries) == 0 && output.topic_arn == "arn:aws:sns:eu-central-1:123456789012:ours"
    error_message = "No second topic is made."
  }
}

run "a_schedule_that_is_none_is_refused" {
  command = plan
  variables {
    jobs = { bad = { file = "./tests/artifact.txt", schedule = "0 4 * * *" } }
  }
  expect_failures = [var.jobs]
}

run "an_architecture_that_is_none_is_refused" {
  command = plan
  variables {
    architecture = "sparc"
  }
  expect_failures = [var.architecture]
}
