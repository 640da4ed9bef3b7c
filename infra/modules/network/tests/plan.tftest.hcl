mock_provider "aws" {
  mock_data "aws_availability_zones" {
    defaults = { names = ["eu-central-1a", "eu-central-1b", "eu-central-1c"] }
  }
  mock_data "aws_region" {
    defaults = { name = "eu-central-1" }
  }
}

variables {
  name = "test"
}

run "endpoints_instead_of_nat" {
  command = plan
  assert {
    condition     = length(aws_nat_gateway.this) == 0 && keys(aws_vpc_endpoint.service) == ["logs", "secretsmanager", "sns", "ssm", "ssmmessages"]
    error_message = "Inside AWS, endpoints serve."
  }
}

run "nat_where_the_source_is_outside" {
  command = plan
  variables {
    nat = true
  }
  assert {
    condition     = length(aws_nat_gateway.this) == 1 && length(aws_vpc_endpoint.service) == 0
    error_message = "One NAT gateway, and no endpoints that cost as much again."
  }
  assert {
    condition     = length(aws_subnet.private) == 2 && length(aws_subnet.public) == 2
    error_message = "Two private and two public subnets."
  }
}

run "nobody_needs_a_shell" {
  command = plan
  variables {
    session_manager = false
  }
  assert {
    condition     = keys(aws_vpc_endpoint.service) == ["logs", "secretsmanager", "sns"]
    error_message = "Endpoints that only Session Manager uses are left out."
  }
}

run "only_zones_of_the_region_itself" {
  command = plan
  assert {
    condition     = one(data.aws_availability_zones.available.filter).values == toset(["opt-in-not-required"])
    error_message = "Local Zones are left out."
  }
}

run "a_network_too_large_for_aws_is_refused" {
  command = plan
  variables {
    cidr = "10.0.0.0/8"
  }
  expect_failures = [var.cidr]
}

run "a_network_too_small_for_its_subnets_is_refused" {
  command = plan
  variables {
    cidr = "10.0.0.0/25"
  }
  expect_failures = [var.cidr]
}
