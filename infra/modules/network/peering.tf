# Peering with existing networks, such as the databases', with routes in both directions.

locals {
  routes = {
    there = merge([for name, peer in var.peers : { for cidr in peer.cidrs : "${name}-${cidr}" => { peer = name, cidr = cidr } }]...)
    back = merge([
      for name, peer in var.peers : { for table in peer.route_table_ids : "${name}-${table}" => { peer = name, table = table } }
    ]...)
  }
}

resource "aws_vpc_peering_connection" "peer" {
  for_each    = var.peers
  vpc_id      = aws_vpc.this.id
  peer_vpc_id = each.value.vpc_id
  auto_accept = true
  tags        = merge(var.tags, { Name = "${var.name}-${each.key}" })
  # From here the peer's public names resolve to private addresses, the only ones in routes and security groups.
  accepter {
    allow_remote_vpc_dns_resolution = each.value.resolve_names
  }
}

resource "aws_route" "there" {
  for_each                  = local.routes.there
  route_table_id            = aws_route_table.private.id
  destination_cidr_block    = each.value.cidr
  vpc_peering_connection_id = aws_vpc_peering_connection.peer[each.value.peer].id
}

resource "aws_route" "back" {
  for_each                  = local.routes.back
  route_table_id            = each.value.table
  destination_cidr_block    = var.cidr
  vpc_peering_connection_id = aws_vpc_peering_connection.peer[each.value.peer].id
}
