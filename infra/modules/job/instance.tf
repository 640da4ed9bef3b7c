# The launch template: everything that an instance needs, also when a person launches it.

data "aws_ssm_parameter" "stock_image" {
  count = var.image_id == null ? 1 : 0
  name  = "/aws/service/ami-amazon-linux-latest/al2023-ami-minimal-kernel-default-${var.architecture}"
}

resource "aws_security_group" "instance" {
  name_prefix = "${local.name}-"
  description = "Stopgap instances: nothing comes in, databases and AWS go out"
  vpc_id      = var.vpc_id
  tags        = merge(local.tags, { Name = local.name })
  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_vpc_security_group_egress_rule" "https" {
  security_group_id = aws_security_group.instance.id
  description       = "AWS APIs"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
  cidr_ipv4         = "0.0.0.0/0"
}

resource "aws_vpc_security_group_egress_rule" "database" {
  for_each = {
    for pair in setproduct([for port in var.database_ports : tostring(port)], var.database_cidrs) : "${pair[0]}-${pair[1]}" => pair
  }
  security_group_id = aws_security_group.instance.id
  description       = "Source and target"
  ip_protocol       = "tcp"
  from_port         = tonumber(each.value[0])
  to_port           = tonumber(each.value[0])
  cidr_ipv4         = each.value[1]
}

resource "aws_cloudwatch_log_group" "job" {
  name              = "/stopgap/${var.environment}/job"
  retention_in_days = var.log_retention_days
  tags              = local.tags
}

resource "aws_launch_template" "job" {
  for_each                             = var.jobs
  name                                 = "${local.name}-${each.key}"
  description                          = "One run of the job ${each.key}, then gone"
  image_id                             = var.image_id == null ? nonsensitive(data.aws_ssm_parameter.stock_image[0].value) : var.image_id
  instance_type                        = length(each.value.instance_types) > 0 ? each.value.instance_types[0] : var.instance_type
  instance_initiated_shutdown_behavior = "terminate"
  update_default_version               = true

  user_data = base64encode(templatefile("${path.module}/user-data.sh.tftpl", {
    bucket      = aws_s3_bucket.artifacts.id
    environment = var.environment
    has_image   = var.image_id != null
    key         = aws_s3_object.job_binary.key
    log_group   = aws_cloudwatch_log_group.job.name
    region      = local.region
    rootfs      = "${path.module}/../../../ami/rootfs"
    sha256      = filesha256(var.job_binary)
    topic_arn   = local.topic_arn
  }))

  iam_instance_profile {
    arn = aws_iam_instance_profile.instance.arn
  }

  network_interfaces {
    associate_public_ip_address = false
    security_groups             = [aws_security_group.instance.id]
    subnet_id                   = var.subnet_ids[0]
    delete_on_termination       = true
  }

  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
    instance_metadata_tags      = "enabled"
  }

  block_device_mappings {
    device_name = "/dev/xvda"
    ebs {
      volume_size           = 8
      volume_type           = "gp3"
      encrypted             = true
      delete_on_termination = true
    }
  }

  dynamic "tag_specifications" {
    for_each = ["instance", "volume"]
    content {
      resource_type = tag_specifications.value
      tags = merge(local.tags, {
        Name             = "stopgap ${each.key}"
        "stopgap:job"    = each.key
        "stopgap:bucket" = aws_s3_bucket.artifacts.id
        "stopgap:topic"  = local.topic_arn
      })
    }
  }
}

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
  statement {
    sid       = "Artifacts"
    actions   = ["s3:GetObject"]
    resources = ["${aws_s3_bucket.artifacts.arn}/bin/*", "${aws_s3_bucket.artifacts.arn}/jobs/*"]
  }
  statement {
    sid       = "Records"
    actions   = ["s3:GetObject", "s3:PutObject"]
    resources = ["${aws_s3_bucket.artifacts.arn}/runs/*"]
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
    resources = [local.topic_arn]
  }
  statement {
    sid       = "Logs"
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    resources = ["${aws_cloudwatch_log_group.job.arn}:*"]
  }
  dynamic "statement" {
    for_each = length(var.secret_arns) > 0 ? [1] : []
    content {
      sid       = "Secrets"
      actions   = ["secretsmanager:GetSecretValue"]
      resources = var.secret_arns
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

# A shell for the curious, without SSH.
resource "aws_iam_role_policy_attachment" "session_manager" {
  role       = aws_iam_role.instance.name
  policy_arn = "arn:${local.partition}:iam::aws:policy/AmazonSSMManagedInstanceCore"
}
