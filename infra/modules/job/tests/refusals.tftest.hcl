# What is refused before anything is made.

mock_provider "aws" {
  mock_data "aws_iam_policy_document" {
    defaults = { json = "{}" }
  }
}

variables {
  environment    = "test"
  job_binary     = "./tests/artifact.txt"
  launcher_zip   = "./tests/artifact.txt"
  vpc_id         = "vpc-1"
  subnet_ids     = ["subnet-a"]
  mail_addresses = ["data@example.com"]
  jobs           = { erp = { file = "./tests/artifact.txt" } }
}

run "a_schedule_that_is_none" {
  command = plan
  variables {
    jobs = { bad = { file = "./tests/artifact.txt", schedule = "0 4 * * *" } }
  }
  expect_failures = [var.jobs]
}

run "a_name_that_the_sweep_has" {
  command = plan
  variables {
    jobs = { sweep = { file = "./tests/artifact.txt" } }
  }
  expect_failures = [var.jobs]
}

run "a_key_that_is_not_the_name_in_the_job_file" {
  command = plan
  variables {
    jobs = { nightly = { content = "[job]\nreaders = 2\nname = \"nightly-erp\"\n" } }
  }
  expect_failures = [var.jobs]
}

run "a_job_with_a_file_and_a_text" {
  command = plan
  variables {
    jobs = { erp = { file = "./tests/artifact.txt", content = "" } }
  }
  expect_failures = [var.jobs]
}

run "a_job_with_neither_file_nor_text" {
  command = plan
  variables {
    jobs = { erp = {} }
  }
  expect_failures = [var.jobs]
}

run "half_a_minute" {
  command = plan
  variables {
    jobs = { erp = { file = "./tests/artifact.txt", deadline_minutes = 30.5 } }
  }
  expect_failures = [var.jobs]
}

run "more_silence_than_a_week" {
  command = plan
  variables {
    jobs = { erp = { file = "./tests/artifact.txt", silence_hours = 169 } }
  }
  expect_failures = [var.jobs]
}

run "half_an_hour_of_silence" {
  command = plan
  variables {
    jobs = { erp = { file = "./tests/artifact.txt", silence_hours = 1.5 } }
  }
  expect_failures = [var.jobs]
}

run "more_jobs_than_the_function_can_be_told_of" {
  command = plan
  variables {
    jobs = { for number in range(30) : "job-${number}" => { file = "./tests/artifact.txt" } }
  }
  expect_failures = [aws_lambda_function.launcher]
}

run "an_architecture_that_is_none" {
  command = plan
  variables {
    architecture = "sparc"
  }
  expect_failures = [var.architecture]
}

run "nobody_who_hears" {
  command = plan
  variables {
    mail_addresses = []
  }
  expect_failures = [var.mail_addresses]
}

run "a_tag_that_metadata_cannot_show" {
  command = plan
  variables {
    tags = { "cost center" = "7" }
  }
  expect_failures = [var.tags]
}

run "a_tag_of_our_own" {
  command = plan
  variables {
    tags = { "stopgap:job" = "other" }
  }
  expect_failures = [var.tags]
}

run "a_certificate_that_would_overwrite_the_settings" {
  command = plan
  variables {
    ca_files = { "stopgap.env" = "./tests/artifact.txt" }
  }
  expect_failures = [var.ca_files]
}

run "a_secret_whose_name_looks_like_the_end_of_an_arn" {
  command = plan
  variables {
    secret_names = ["prod/erp-source"]
  }
  expect_failures = [var.secret_names]
}

run "a_security_group_that_is_none" {
  command = plan
  variables {
    database_security_groups = { aurora = { id = "aurora", port = 5432 } }
  }
  expect_failures = [var.database_security_groups]
}

run "a_port_that_the_instances_cannot_go_out_to" {
  command = plan
  variables {
    database_security_groups = { aurora = { id = "sg-0a", port = 5433 } }
  }
  expect_failures = [var.database_security_groups]
}

run "two_databases_behind_one_group_and_port" {
  command = plan
  variables {
    database_security_groups = { source = { id = "sg-0a", port = 1433 }, copy = { id = "sg-0a", port = 1433 } }
  }
  expect_failures = [var.database_security_groups]
}

run "secrets_that_are_kept_for_less_than_a_week" {
  command = plan
  variables {
    secret_recovery_days = 6
  }
  expect_failures = [var.secret_recovery_days]
}

run "secrets_that_are_kept_for_more_than_a_month" {
  command = plan
  variables {
    secret_recovery_days = 31
  }
  expect_failures = [var.secret_recovery_days]
}

run "secrets_that_are_kept_for_half_a_day_more" {
  command = plan
  variables {
    secret_recovery_days = 7.5
  }
  expect_failures = [var.secret_recovery_days]
}

run "reports_that_expire_before_the_sweep_has_looked" {
  command = plan
  variables {
    report_retention_days = 7
  }
  expect_failures = [var.report_retention_days]
}

run "heads_that_expire_before_their_reports" {
  command = plan
  variables {
    head_retention_days = 60
  }
  expect_failures = [var.head_retention_days]
}

run "a_dns_server_without_its_mask" {
  command = plan
  variables {
    dns_cidrs = ["10.0.0.2"]
  }
  expect_failures = [var.dns_cidrs]
}
