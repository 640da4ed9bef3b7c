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
    condition     = length(aws_nat_gateway.this) == 0 && length(aws_vpc_endpoint.service) == 6
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
