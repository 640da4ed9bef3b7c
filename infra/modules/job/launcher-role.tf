# What the launcher may do.

data "aws_iam_policy_document" "assume_launcher" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "Service"
      identifiers = ["lambda.amazonaws.com"]
    }
  }
}

resource "aws_iam_role" "launcher" {
  name_prefix        = "${local.name}-launcher-"
  assume_role_policy = data.aws_iam_policy_document.assume_launcher.json
  tags               = local.tags
}

locals {
  templates = [for template in aws_launch_template.job : template.arn]
}

data "aws_iam_policy_document" "launcher" {
  #checkov:skip=CKV_AWS_356:DescribeInstances knows no resources; everything else is named
  # EC2 supports no resource-level permissions for describing.
  statement {
    sid       = "Look"
    actions   = ["ec2:DescribeInstances"]
    resources = ["*"]
  }
  # What a launch creates: only from our templates, and with our tag.
  statement {
    sid       = "RunFromTemplate"
    actions   = ["ec2:RunInstances"]
    resources = ["${local.ec2}:instance/*", "${local.ec2}:volume/*"]
    condition {
      test     = "ArnEquals"
      variable = "ec2:LaunchTemplate"
      values   = local.templates
    }
    condition {
      test     = "StringEquals"
      variable = "aws:RequestTag/stopgap:environment"
      values   = [var.environment]
    }
  }
  # The template's image and no other.
  statement {
    sid       = "RunImage"
    actions   = ["ec2:RunInstances"]
    resources = ["arn:${local.partition}:ec2:${local.region}::image/${local.image_id}"]
    condition {
      test     = "ArnEquals"
      variable = "ec2:LaunchTemplate"
      values   = local.templates
    }
    condition {
      test     = "Bool"
      variable = "ec2:IsLaunchTemplateResource"
      values   = ["true"]
    }
  }
  # The launcher's request replaces the template's interface, so these are not resources of the template.
  statement {
    sid     = "RunWith"
    actions = ["ec2:RunInstances"]
    resources = concat(
      local.templates,
      # A subnet that another account shares has that account in its ARN; ids are unique among all accounts.
      [for subnet in var.subnet_ids : "arn:${local.partition}:ec2:${local.region}:*:subnet/${subnet}"],
      [aws_security_group.instance.arn, "${local.ec2}:network-interface/*"],
      local.uses_spot ? ["${local.ec2}:spot-instances-request/*"] : [],
    )
    condition {
      test     = "ArnEquals"
      variable = "ec2:LaunchTemplate"
      values   = local.templates
    }
  }
  statement {
    sid       = "TagWhatIsLaunched"
    actions   = ["ec2:CreateTags"]
    resources = ["${local.ec2}:instance/*", "${local.ec2}:volume/*"]
    condition {
      test     = "StringEquals"
      variable = "ec2:CreateAction"
      values   = ["RunInstances"]
    }
  }
  statement {
    sid       = "EndOurs"
    actions   = ["ec2:TerminateInstances", "ec2:CreateTags", "ec2:GetConsoleOutput"]
    resources = ["${local.ec2}:instance/*"]
    condition {
      test     = "StringEquals"
      variable = "aws:ResourceTag/stopgap:environment"
      values   = [var.environment]
    }
  }
  statement {
    sid       = "PassRole"
    actions   = ["iam:PassRole"]
    resources = [aws_iam_role.instance.arn]
    condition {
      test     = "StringEquals"
      variable = "iam:PassedToService"
      values   = ["ec2.amazonaws.com"]
    }
  }
  # The first Spot instance of an account needs a role that EC2 creates for itself.
  dynamic "statement" {
    for_each = local.uses_spot ? [1] : []
    content {
      sid       = "SpotRole"
      actions   = ["iam:CreateServiceLinkedRole"]
      resources = ["arn:${local.partition}:iam::${local.account}:role/aws-service-role/spot.amazonaws.com/AWSServiceRoleForEC2Spot"]
      condition {
        test     = "StringEquals"
        variable = "iam:AWSServiceName"
        values   = ["spot.amazonaws.com"]
      }
    }
  }
  # EC2 encrypts the disk on behalf of whoever launches.
  dynamic "statement" {
    for_each = var.volume_kms_key_arn == null ? [] : [var.volume_kms_key_arn]
    content {
      sid       = "VolumeKey"
      actions   = ["kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKeyWithoutPlaintext", "kms:ReEncryptFrom", "kms:ReEncryptTo"]
      resources = [statement.value]
      condition {
        test     = "StringEquals"
        variable = "kms:ViaService"
        values   = ["ec2.${local.region}.amazonaws.com"]
      }
    }
  }
  dynamic "statement" {
    for_each = var.volume_kms_key_arn == null ? [] : [var.volume_kms_key_arn]
    content {
      sid       = "VolumeKeyGrant"
      actions   = ["kms:CreateGrant"]
      resources = [statement.value]
      condition {
        test     = "Bool"
        variable = "kms:GrantIsForAWSResource"
        values   = ["true"]
      }
      condition {
        test     = "StringEquals"
        variable = "kms:ViaService"
        values   = ["ec2.${local.region}.amazonaws.com"]
      }
    }
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
    sid       = "Summary"
    actions   = ["sns:Publish"]
    resources = local.topic_arns
  }
  dynamic "statement" {
    for_each = length(var.topic_kms_key_arns) > 0 ? [1] : []
    content {
      sid       = "TopicKeys"
      actions   = ["kms:GenerateDataKey", "kms:Decrypt"]
      resources = var.topic_kms_key_arns
    }
  }
  statement {
    sid       = "DeadLetters"
    actions   = ["sqs:SendMessage"]
    resources = [aws_sqs_queue.dead_letters.arn]
  }
  statement {
    sid       = "Logs"
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    resources = ["${aws_cloudwatch_log_group.launcher.arn}:*"]
  }
}

resource "aws_iam_role_policy" "launcher" {
  name   = "launcher"
  role   = aws_iam_role.launcher.id
  policy = data.aws_iam_policy_document.launcher.json
}
