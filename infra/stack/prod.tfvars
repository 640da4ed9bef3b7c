environment  = "prod"
network_cidr = "10.80.0.0/20"

# Run records stay when the stack goes, and logins can be restored.
bucket_force_destroy = false
secret_recovery_days = 30
log_retention_days   = 365

# Which jobs, secrets, mail addresses, network: docs/deploy.md has ones to begin with.
