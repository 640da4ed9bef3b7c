# Logins for source and target. Fill them by hand: Terraform's state holds every value that Terraform writes.

resource "aws_secretsmanager_secret" "login" {
  #checkov:skip=CKV_AWS_149:The account's own key for secrets serves; one of your own comes with secret_arns and secret_kms_key_arns
  #checkov:skip=CKV2_AWS_57:The source's password is its owner's to change; docs/runbook.md says how
  for_each                = var.secret_names
  name                    = each.key
  description             = "A login of Stopgap's jobs in ${var.environment}: host, port, database, user, password."
  recovery_window_in_days = var.secret_recovery_days
  tags                    = local.tags
}
