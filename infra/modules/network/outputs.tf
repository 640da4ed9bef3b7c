output "vpc_id" {
  description = "The network."
  value       = aws_vpc.this.id
  # A rule may name a peer's security group only once the peering exists.
  depends_on = [aws_vpc_peering_connection.peer]
}

output "private_route_table_id" {
  description = "The private subnets' route table, for routes to other networks."
  value       = aws_route_table.private.id
}

output "cidr" {
  description = "The network's addresses."
  value       = aws_vpc.this.cidr_block
}

output "private_subnet_ids" {
  description = "The private subnets, for instances and databases."
  value       = aws_subnet.private[*].id
}

output "nat_address" {
  description = "The address from which instances reach the outside of AWS; null without a NAT gateway."
  value       = one(aws_eip.nat[*].public_ip)
}
