environment  = "dev"
network_cidr = "10.80.16.0/20"

# Nothing here need outlive the stack.
bucket_force_destroy = true
secret_recovery_days = 0
log_retention_days   = 14

# Which jobs, secrets, mail addresses, network: docs/deploy.md has ones to begin with.
