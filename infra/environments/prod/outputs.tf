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

output "launcher_environment" {
  description = "What the function is told."
  value       = module.job.launcher_environment
}
