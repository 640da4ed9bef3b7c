output "bucket" {
  description = "Job files, the binary and run records."
  value       = aws_s3_bucket.artifacts.id
}

output "topic_arn" {
  description = "Where summaries are published."
  value       = local.topic_arn
}

output "launcher" {
  description = "The launcher function's name, for runs by hand."
  value       = aws_lambda_function.launcher.function_name
}

output "launch_templates" {
  description = "The launch template of each job, for instances launched by hand."
  value       = { for name, template in aws_launch_template.job : name => template.id }
}

output "dead_letter_queue" {
  description = "The URL of the queue with events that the launcher could not handle."
  value       = aws_sqs_queue.dead_letters.id
}

output "security_group_id" {
  description = "Of the instances; database_security_groups lets it into the databases."
  value       = aws_security_group.instance.id
}

output "instance_role_arn" {
  description = "Of the instances, for policies of secrets and keys elsewhere."
  value       = aws_iam_role.instance.arn
}

output "launcher_role_arn" {
  description = "Of the launcher, for policies of topics and keys elsewhere."
  value       = aws_iam_role.launcher.arn
}

output "launcher_environment" {
  description = "What the function is told, as tests run it themselves."
  value       = aws_lambda_function.launcher.environment[0].variables
}
