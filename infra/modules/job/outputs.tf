output "bucket" {
  description = "Job files, the binary and run records."
  value       = aws_s3_bucket.artifacts.id
}

output "topic_arn" {
  description = "The topic of summaries."
  value       = local.topic_arn
}

output "launcher" {
  description = "The launcher function's name, for runs by hand."
  value       = aws_lambda_function.launcher.function_name
}

output "launch_templates" {
  description = "Each job's launch template, to launch an instance by hand."
  value       = { for name, template in aws_launch_template.job : name => template.id }
}

output "dead_letter_queue" {
  description = "The URL of the queue of events that the launcher could not handle."
  value       = aws_sqs_queue.dead_letters.id
}

output "security_group_id" {
  description = "The instances' security group; database_security_groups lets it into the databases."
  value       = aws_security_group.instance.id
}

output "instance_role_arn" {
  description = "The instances' role, for policies of existing secrets and keys."
  value       = aws_iam_role.instance.arn
}

output "launcher_role_arn" {
  description = "The launcher's role, for policies of existing topics and keys."
  value       = aws_iam_role.launcher.arn
}

output "launcher_environment" {
  description = "The launcher's environment variables; tests run the function with them."
  value       = aws_lambda_function.launcher.environment[0].variables
}
