output "vpc_id" {
  description = "The network."
  value       = aws_vpc.this.id
}

output "private_subnet_ids" {
  description = "For instances and databases."
  value       = aws_subnet.private[*].id
}

output "nat_address" {
  description = "From where instances reach what is outside AWS; null without a NAT gateway."
  value       = one(aws_eip.nat[*].public_ip)
}
