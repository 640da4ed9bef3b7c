# Where Terraform keeps its state; dev.tfbackend and prod.tfbackend say the rest. A file in this directory is fine for one person.
# For several, make a bucket with versioning first, write "s3" here, and what stands at the end of those files. Needs Terraform 1.11
# or later then, for use_lockfile.
terraform {
  backend "local" {}
}
