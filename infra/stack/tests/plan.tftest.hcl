# What the stack adds to the modules: terraform test -var-file=dev.tfvars, and the same of prod.

mock_provider "aws" {
  mock_data "aws_iam_policy_document" {
    defaults = { json = "{}" }
  }
  mock_data "aws_availability_zones" {
    defaults = { names = ["eu-central-1a", "eu-central-1b"] }
  }
  mock_data "aws_ssm_parameter" {
    defaults = { value = "ami-0123456789abcdef0" }
  }
}

variables {
  jobs           = { erp = { content = "[job]\nname = \"erp\"\n" } }
  job_binary     = "../modules/job/tests/artifact.txt"
  launcher_zip   = "../modules/job/tests/artifact.txt"
  mail_addresses = ["data@example.com"]
}

run "an_existing_network_is_used" {
  command = plan
  variables {
    vpc_id     = "vpc-1"
    subnet_ids = ["subnet-a"]
  }

  assert {
    condition     = length(module.network) == 0 && output.subnet_ids == tolist(["subnet-a"])
    error_message = "No second network is made."
  }
}

run "subnets_of_no_network_are_refused" {
  command = plan
  variables {
    subnet_ids = ["subnet-a"]
  }
  expect_failures = [var.subnet_ids]
}

run "a_network_without_subnets_is_refused" {
  command = plan
  variables {
    vpc_id = "vpc-1"
  }
  expect_failures = [var.subnet_ids]
}

run "its_network_has_addresses_of_its_own" {
  command = plan

  assert {
    condition     = output.network_cidr == { dev = "10.80.16.0/20", prod = "10.80.0.0/20" }[var.environment]
    error_message = "One network can be the peer of dev and prod only if their addresses differ."
  }
}

run "a_network_that_is_none_is_refused" {
  command = plan
  variables {
    network_cidr = "10.80.0.0"
  }
  expect_failures = [var.network_cidr]
}

run "an_existing_network_is_not_peered" {
  command = plan
  variables {
    vpc_id            = "vpc-1"
    subnet_ids        = ["subnet-a"]
    database_networks = { erp = { vpc_id = "vpc-2", cidrs = ["10.0.0.0/16"], route_table_ids = ["rtb-a"] } }
  }
  expect_failures = [var.database_networks]
}

run "its_network_has_the_addresses_that_are_asked_for" {
  command = plan
  variables {
    network_cidr = "10.99.0.0/20"
  }

  assert {
    condition     = output.network_cidr == "10.99.0.0/20"
    error_message = "Whoever has a peer with the default's addresses chooses others."
  }
}
