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
  environment    = "test"
  job_binary     = "./tests/artifact.txt"
  launcher_zip   = "./tests/artifact.txt"
  vpc_id         = "vpc-1"
  subnet_ids     = ["subnet-a", "subnet-b"]
  mail_addresses = ["data@example.com"]
  jobs = {
    nightly-erp = {
      content           = "# The night's.\n[job]\nreaders = 2\nname = \"nightly-erp\"\n\n[source]\nsecret = \"erp\"\n"
      schedule          = "cron(0 4 * * ? *)"
      schedule_timezone = "Europe/Berlin"
      instance_types    = ["m7g.large", "m6g.large"]
      spot              = true
      silence_hours     = 26
    }
    by-hand = { file = "./tests/artifact.txt" }
    once    = { file = "./tests/artifact.txt", schedule = "at(2027-01-01T00:00:00)" }
    weekly  = { file = "./tests/artifact.txt", schedule = "cron(0 4 ? * SUN *)", silence_hours = 0 }
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

run "a_person_can_launch_from_the_template_alone" {
  command = plan

  assert {
    condition = alltrue([
      for template in aws_launch_template.job :
      length(template.network_interfaces) == 1 &&
      template.network_interfaces[0].device_index == 0 &&
      template.network_interfaces[0].subnet_id == "subnet-a" &&
      template.network_interfaces[0].associate_public_ip_address == "false"
    ])
    error_message = "The template has one interface, in the first subnet, without a public address."
  }
}

run "the_stock_image_has_an_agent_for_session_manager" {
  command = plan

  assert {
    condition     = data.aws_ssm_parameter.stock_image[0].name == "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-arm64"
    error_message = "The minimal image has none."
  }
}

run "secrets_are_made_without_a_value" {
  command = plan
  variables {
    secret_names = ["prod/erp", "prod/aurora"]
  }

  assert {
    condition     = keys(aws_secretsmanager_secret.login) == ["prod/aurora", "prod/erp"]
    error_message = "Each name is a secret."
  }
  assert {
    condition     = alltrue([for secret in aws_secretsmanager_secret.login : secret.recovery_window_in_days == 30])
    error_message = "What was filled by hand can be restored."
  }
}

run "secrets_outlive_run_records_that_are_deleted" {
  command = plan
  variables {
    secret_names         = ["prod/erp"]
    bucket_force_destroy = true
  }

  assert {
    condition     = aws_secretsmanager_secret.login["prod/erp"].recovery_window_in_days == 30
    error_message = "Whoever deletes the bucket deletes no logins."
  }
}

run "secrets_can_go_at_once" {
  command = plan
  variables {
    secret_names         = ["dev/erp"]
    secret_recovery_days = 0
  }

  assert {
    condition     = aws_secretsmanager_secret.login["dev/erp"].recovery_window_in_days == 0
    error_message = "Their names can be used again."
  }
}

run "one_group_may_guard_two_ports" {
  command = plan
  variables {
    database_security_groups = { source = { id = "sg-0a", port = 1433 }, target = { id = "sg-0a", port = 5432 } }
  }

  assert {
    condition     = length(aws_vpc_security_group_ingress_rule.database) == 2
    error_message = "Each port has its rule."
  }
}

run "an_image_of_ones_own_keeps_its_size" {
  command = plan
  variables {
    image_id = "ami-00000000000000001"
  }

  assert {
    condition     = aws_launch_template.job["by-hand"].image_id == "ami-00000000000000001" && local.volume_size == null
    error_message = "EC2 makes no disk smaller than its snapshot."
  }
}

run "the_other_architecture_has_its_own_instances" {
  command = plan
  variables {
    architecture = "x86_64"
  }

  assert {
    condition     = aws_launch_template.job["by-hand"].instance_type == "m7i.large"
    error_message = "An instance type of the architecture is the default."
  }
  assert {
    condition     = data.aws_ssm_parameter.stock_image[0].name == "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"
    error_message = "So is its image."
  }
}

run "schedules_and_alarms_follow_the_jobs" {
  command = plan

  assert {
    condition     = keys(aws_scheduler_schedule.job) == ["nightly-erp", "once", "weekly"]
    error_message = "A job without a schedule has none."
  }
  assert {
    condition     = aws_scheduler_schedule.job["nightly-erp"].schedule_expression_timezone == "Europe/Berlin"
    error_message = "The schedule has its time zone."
  }
  assert {
    condition = (
      strcontains(aws_scheduler_schedule.job["nightly-erp"].target[0].input, "<aws.scheduler.schedule-arn>") &&
      strcontains(aws_scheduler_schedule.job["nightly-erp"].target[0].input, "<aws.scheduler.scheduled-time>") &&
      !strcontains(aws_scheduler_schedule.job["nightly-erp"].target[0].input, "<aws.scheduler.execution-id>")
    )
    error_message = "The run's id follows from what every attempt of the schedule has in common."
  }
  assert {
    condition     = aws_cloudwatch_metric_alarm.silence["nightly-erp"].evaluation_periods == 26
    error_message = "Silence is noticed after the hours that are asked for."
  }
  assert {
    condition     = keys(aws_cloudwatch_metric_alarm.silence) == ["nightly-erp"]
    error_message = "By hand, once, and where nobody wants it, silence is no alarm."
  }
  assert {
    condition     = alltrue([for alarm in aws_cloudwatch_metric_alarm.failed : length(alarm.alarm_actions) == 0])
    error_message = "A failed run has sent its own mail."
  }
}

run "the_sweep_comes_often_and_is_not_lost" {
  command = plan

  assert {
    condition     = aws_scheduler_schedule.sweep.schedule_expression == "rate(15 minutes)"
    error_message = "What is left unsaid is said within a quarter of an hour."
  }
  assert {
    condition = alltrue([
      for schedule in concat(values(aws_scheduler_schedule.job), [aws_scheduler_schedule.sweep]) :
      length(schedule.target[0].dead_letter_config) == 1 && length(schedule.target[0].retry_policy) == 1
    ])
    error_message = "What the scheduler cannot deliver is kept."
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

run "run_records_expire_and_their_heads_stay_longer" {
  command = plan

  assert {
    condition = {
      for rule in aws_s3_bucket_lifecycle_configuration.artifacts.rule : rule.filter[0].prefix => rule.expiration[0].days
      if contains(["heads", "runs"], rule.id)
    } == { "heads/" = 400, "runs/" = 90 }
    error_message = "Reports are kept for a quarter, heads for more than a year."
  }
}

run "run_records_expire_when_they_are_to" {
  command = plan
  variables {
    report_retention_days = 30
    head_retention_days   = 30
  }

  assert {
    condition = alltrue([
      for rule in aws_s3_bucket_lifecycle_configuration.artifacts.rule : rule.expiration[0].days == 30
      if contains(["heads", "runs"], rule.id)
    ])
    error_message = "How long is a variable."
  }
}

run "a_subnet_of_another_account_is_usable" {
  command = plan

  assert {
    condition = anytrue([
      for statement in data.aws_iam_policy_document.launcher.statement :
      statement.sid == "RunWith" && contains(statement.resources, "arn:aws:ec2:eu-central-1:*:subnet/subnet-b")
    ])
    error_message = "The ARN of a shared subnet names the account that owns it."
  }
}

run "artifacts_are_named_after_their_content" {
  command = plan
  variables {
    ca_files = { "rds.pem" = "./tests/artifact.txt" }
  }

  assert {
    condition     = aws_s3_object.ca_file["rds.pem"].key == "ca/${filesha256("./tests/artifact.txt")}-rds.pem"
    error_message = "Another certificate is another object."
  }
  assert {
    condition     = aws_s3_object.job_file["nightly-erp"].key == "jobs/nightly-erp.toml" && strcontains(aws_s3_object.job_file["nightly-erp"].content, "readers = 2")
    error_message = "A change of a job file is shown line by line."
  }
}

run "an_existing_topic_is_used" {
  command = plan
  variables {
    topic_arn      = "arn:aws:sns:eu-central-1:123456789012:ours"
    mail_addresses = []
  }

  assert {
    condition     = length(aws_sns_topic.summaries) == 0 && output.topic_arn == "arn:aws:sns:eu-central-1:123456789012:ours"
    error_message = "No second topic is made."
  }
}

run "databases_let_the_instances_in" {
  command = plan
  variables {
    database_ports           = [1433, 5433]
    database_security_groups = { source = { id = "sg-0a", port = 1433 }, aurora = { id = "sg-0b", port = 5433 } }
  }

  assert {
    condition = { for name, rule in aws_vpc_security_group_ingress_rule.database : name => [rule.security_group_id, tostring(rule.from_port), tostring(rule.to_port)] } == {
      aurora = ["sg-0b", "5433", "5433"], source = ["sg-0a", "1433", "1433"]
    }
    error_message = "Each group has a rule for its port, which goes with the stack."
  }
}

run "dns_servers_of_ones_own_can_be_asked" {
  command = plan
  variables {
    dns_cidrs = ["10.0.0.2/32", "10.0.1.2/32"]
  }

  assert {
    condition = [for rule in aws_vpc_security_group_egress_rule.dns : "${rule.ip_protocol} ${rule.from_port}-${rule.to_port} ${rule.cidr_ipv4}"] == [
      "tcp 53-53 10.0.0.2/32", "tcp 53-53 10.0.1.2/32", "udp 53-53 10.0.0.2/32", "udp 53-53 10.0.1.2/32"
    ]
    error_message = "Names are asked for by UDP, and by TCP where the answer is long."
  }
}

run "what_the_alarms_watch" {
  command = plan

  assert {
    condition = alltrue([
      for name, alarm in aws_cloudwatch_metric_alarm.failed :
      alarm.namespace == "Stopgap" && alarm.metric_name == "Failed" && alarm.dimensions == tomap({ Job = name, Environment = "test" })
    ])
    error_message = "The launcher counts failures so."
  }
  assert {
    condition = alltrue([
      for name, alarm in aws_cloudwatch_metric_alarm.silence :
      alarm.namespace == "Stopgap" && alarm.metric_name == "Succeeded" && alarm.dimensions == tomap({ Job = name, Environment = "test" })
    ])
    error_message = "The launcher counts successes so."
  }
}
