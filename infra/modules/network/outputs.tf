output "vpc_id" {
  description = "The network."
  value       = aws_vpc.this.id
  # A rule that names a security group of a peer is refused before they are peers.
  depends_on = [aws_vpc_peering_connection.peer]
}

output "private_route_table_id" {
  description = "Of the private subnets, for ways to other networks."
  value       = aws_route_table.private.id
}

output "cidr" {
  description = "The network's addresses."
  value       = aws_vpc.this.cidr_block
}

output "private_subnet_ids" {
  description = "For instances and databases."
  value       = aws_subnet.private[*].id
}

output "nat_address" {
  description = "From where instances reach what is outside AWS; null without a NAT gateway."
  value       = one(aws_eip.nat[*].public_ip)
}
