output "vpc_id" {
  description = "The network."
  value       = aws_vpc.this.id
}

output "private_subnet_ids" {
  description = "For instances and databases."
  value       = aws_subnet.private[*].id
}
