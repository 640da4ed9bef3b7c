output "bucket" {
  description = "Job files and run records: sync-job history --at s3://…"
  value       = module.job.bucket
}

output "launcher" {
  description = "For runs by hand: aws lambda invoke --function-name …"
  value       = module.job.launcher
}

output "topic_arn" {
  description = "Where summaries are published."
  value       = module.job.topic_arn
}

output "launch_templates" {
  description = "For instances launched by hand."
  value       = module.job.launch_templates
}

output "dead_letter_queue" {
  description = "The URL of the queue with events that the launcher could not handle."
  value       = module.job.dead_letter_queue
}

output "security_group_id" {
  description = "Of the instances; database_security_groups lets it into the databases."
  value       = module.job.security_group_id
}

output "instance_role_arn" {
  description = "Of the instances, for policies of secrets, topics and keys elsewhere."
  value       = module.job.instance_role_arn
}

output "launcher_role_arn" {
  description = "Of the launcher, for policies of topics and keys elsewhere."
  value       = module.job.launcher_role_arn
}

output "vpc_id" {
  description = "The network, made or existing."
  value       = local.vpc_id
}

output "subnet_ids" {
  description = "The instances' subnets, made or existing."
  value       = local.subnet_ids
}

output "launcher_environment" {
  description = "What the function is told."
  value       = module.job.launcher_environment
}

output "nat_address" {
  description = "The address that a source outside AWS must let in; null unless a network with a NAT gateway was made."
  value       = one(module.network[*].nat_address)
}

output "private_route_table_id" {
  description = "Of the network that was made, for ways to networks that database_networks cannot name; null if none was made."
  value       = one(module.network[*].private_route_table_id)
}

output "network_cidr" {
  description = "The addresses of the network that was made, for the way back; null if none was made."
  value       = one(module.network[*].cidr)
}
