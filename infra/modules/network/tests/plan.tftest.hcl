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

run "peers_have_ways_there_and_back" {
  command = plan
  variables {
    cidr = "10.81.0.0/20"
    peers = {
      erp = { vpc_id = "vpc-1", cidrs = ["10.0.0.0/16", "10.1.0.0/16"], route_table_ids = ["rtb-a"] }
      web = { vpc_id = "vpc-2", cidrs = ["10.2.0.0/16"], route_table_ids = ["rtb-b", "rtb-c"] }
    }
  }
  assert {
    condition = [for peering in aws_vpc_peering_connection.peer : peering.peer_vpc_id] == ["vpc-1", "vpc-2"] && alltrue([
      for peering in aws_vpc_peering_connection.peer : peering.auto_accept
    ])
    error_message = "Each network is a peer, and nobody need accept it."
  }
  assert {
    condition     = [for route in aws_route.there : route.destination_cidr_block] == ["10.0.0.0/16", "10.1.0.0/16", "10.2.0.0/16"]
    error_message = "Instances find every address of the peers."
  }
  assert {
    condition = [for route in aws_route.back : "${route.route_table_id} ${route.destination_cidr_block}"] == [
      "rtb-a 10.81.0.0/20", "rtb-b 10.81.0.0/20", "rtb-c 10.81.0.0/20"
    ]
    error_message = "The peers' answers find the instances."
  }
}

run "names_of_peers_lead_to_their_private_addresses" {
  command = plan
  variables {
    peers = {
      erp   = { vpc_id = "vpc-1", cidrs = ["10.0.0.0/16"], route_table_ids = ["rtb-a"] }
      plain = { vpc_id = "vpc-2", cidrs = ["10.2.0.0/16"], route_table_ids = ["rtb-b"], resolve_names = false }
    }
  }
  assert {
    condition = { for name, peering in aws_vpc_peering_connection.peer : name => one(peering.accepter).allow_remote_vpc_dns_resolution } == {
      erp = true, plain = false
    }
    error_message = "A database with a public address is reached by its private one, unless that network has no DNS hostnames."
  }
}

run "a_peer_without_a_way_back_is_refused" {
  command = plan
  variables {
    peers = { erp = { vpc_id = "vpc-1", cidrs = ["10.0.0.0/16"], route_table_ids = [] } }
  }
  expect_failures = [var.peers]
}

run "a_peer_without_addresses_is_refused" {
  command = plan
  variables {
    peers = { erp = { vpc_id = "vpc-1", cidrs = ["10.0.0.0"], route_table_ids = ["rtb-a"] } }
  }
  expect_failures = [var.peers]
}
