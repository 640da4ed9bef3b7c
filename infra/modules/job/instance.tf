# The launch template: everything that an instance needs, even if a person launches it.

locals {
  image_id = var.image_id == null ? nonsensitive(data.aws_ssm_parameter.stock_image[0].value) : var.image_id
  # Your own image may be larger, and EC2 makes no disk smaller than its snapshot.
  volume_size = var.image_id == null ? 8 : null
}

# Not the minimal image, which has no agent for Session Manager.
data "aws_ssm_parameter" "stock_image" {
  count = var.image_id == null ? 1 : 0
  name  = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-${var.architecture}"
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

# Security groups always allow Amazon's own DNS servers, and no others.
resource "aws_vpc_security_group_egress_rule" "dns" {
  for_each          = { for pair in setproduct(["tcp", "udp"], var.dns_cidrs) : "${pair[0]}-${pair[1]}" => pair }
  security_group_id = aws_security_group.instance.id
  description       = "DNS"
  ip_protocol       = each.value[0]
  from_port         = 53
  to_port           = 53
  cidr_ipv4         = each.value[1]
}

# EC2 deletes no group that another one names, so a rule made by hand blocks terraform destroy.
resource "aws_vpc_security_group_ingress_rule" "database" {
  for_each                     = var.database_security_groups
  security_group_id            = each.value.id
  description                  = "Instances of ${local.name}"
  ip_protocol                  = "tcp"
  from_port                    = each.value.port
  to_port                      = each.value.port
  referenced_security_group_id = aws_security_group.instance.id
}

# For the CloudWatch agent of machine images built from ami/.
resource "aws_cloudwatch_log_group" "job" {
  #checkov:skip=CKV_AWS_158:CloudWatch encrypts logs with a key of its own; they hold no secrets, and values of rows are hidden (docs/limits.md)
  #checkov:skip=CKV_AWS_338:How long is for each environment to say; a year in prod
  name              = "/stopgap/${var.environment}/job"
  retention_in_days = var.log_retention_days
  tags              = local.tags
}

resource "aws_launch_template" "job" {
  for_each                             = var.jobs
  name                                 = "${local.name}-${each.key}"
  description                          = "One run of the job ${each.key}, then gone"
  image_id                             = local.image_id
  instance_type                        = length(each.value.instance_types) > 0 ? each.value.instance_types[0] : local.instance_type
  instance_initiated_shutdown_behavior = "terminate"
  update_default_version               = true

  user_data = base64encode(templatefile("${path.module}/user-data.sh.tftpl", {
    bucket      = aws_s3_bucket.artifacts.id
    ca_files    = { for name, object in aws_s3_object.ca_file : name => { key = object.key, sha256 = object.source_hash } }
    environment = var.environment
    has_image   = var.image_id != null
    key         = aws_s3_object.job_binary.key
    region      = local.region
    rootfs      = "${path.module}/../../../ami/rootfs"
    sha256      = filesha256(var.job_binary)
    topic_arn   = local.topic_arn
  }))

  iam_instance_profile {
    arn = aws_iam_instance_profile.instance.arn
  }

  # For people, who then need no subnet; the launcher sends its own interface with each launch. EC2 refuses a subnet beside
  # interfaces.
  network_interfaces {
    device_index                = 0
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
      volume_size           = local.volume_size
      volume_type           = "gp3"
      encrypted             = true
      kms_key_id            = var.volume_kms_key_arn
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
