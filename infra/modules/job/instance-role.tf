# What an instance may do.

data "aws_iam_policy_document" "assume_instance" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "Service"
      identifiers = ["ec2.amazonaws.com"]
    }
  }
}

resource "aws_iam_role" "instance" {
  name_prefix        = "${local.name}-instance-"
  assume_role_policy = data.aws_iam_policy_document.assume_instance.json
  tags               = local.tags
}

resource "aws_iam_instance_profile" "instance" {
  name_prefix = "${local.name}-"
  role        = aws_iam_role.instance.name
  tags        = local.tags
}

data "aws_iam_policy_document" "instance" {
  #checkov:skip=CKV_AWS_111:The channels of Session Manager know no resources; everything else is named
  #checkov:skip=CKV_AWS_356:As above
  statement {
    sid       = "Artifacts"
    actions   = ["s3:GetObject"]
    resources = [for folder in ["bin", "ca", "jobs"] : "${aws_s3_bucket.artifacts.arn}/${folder}/*"]
  }
  statement {
    sid       = "Records"
    actions   = ["s3:GetObject", "s3:PutObject"]
    resources = [for folder in ["heads", "runs"] : "${aws_s3_bucket.artifacts.arn}/${folder}/*"]
  }
  statement {
    sid       = "ListRecords"
    actions   = ["s3:ListBucket"]
    resources = [aws_s3_bucket.artifacts.arn]
  }
  statement {
    sid       = "JobFiles"
    actions   = ["ssm:GetParameter"]
    resources = ["arn:${local.partition}:ssm:${local.region}:${local.account}:parameter/stopgap/jobs/*"]
  }
  statement {
    sid       = "Summary"
    actions   = ["sns:Publish"]
    resources = local.topic_arns
  }
  statement {
    sid       = "Logs"
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    resources = ["${aws_cloudwatch_log_group.job.arn}:*"]
  }
  # A shell without SSH. AmazonSSMManagedInstanceCore would also let instances read every parameter of the account.
  statement {
    sid = "SessionManager"
    actions = [
      "ssm:UpdateInstanceInformation",
      "ssmmessages:CreateControlChannel",
      "ssmmessages:CreateDataChannel",
      "ssmmessages:OpenControlChannel",
      "ssmmessages:OpenDataChannel",
    ]
    resources = ["*"]
  }
  dynamic "statement" {
    for_each = length(var.topic_kms_key_arns) > 0 ? [1] : []
    content {
      sid       = "TopicKeys"
      actions   = ["kms:GenerateDataKey", "kms:Decrypt"]
      resources = var.topic_kms_key_arns
    }
  }
  dynamic "statement" {
    for_each = length(var.secret_arns) + length(var.secret_names) > 0 ? [1] : []
    content {
      sid       = "Secrets"
      actions   = ["secretsmanager:GetSecretValue"]
      resources = concat(var.secret_arns, [for secret in aws_secretsmanager_secret.login : secret.arn])
    }
  }
  dynamic "statement" {
    for_each = length(var.secret_kms_key_arns) > 0 ? [1] : []
    content {
      sid       = "SecretKeys"
      actions   = ["kms:Decrypt"]
      resources = var.secret_kms_key_arns
    }
  }
  dynamic "statement" {
    for_each = length(var.iam_database_users) > 0 ? [1] : []
    content {
      sid       = "DatabaseUsers"
      actions   = ["rds-db:connect"]
      resources = var.iam_database_users
    }
  }
}

resource "aws_iam_role_policy" "instance" {
  name   = "job"
  role   = aws_iam_role.instance.id
  policy = data.aws_iam_policy_document.instance.json
}
