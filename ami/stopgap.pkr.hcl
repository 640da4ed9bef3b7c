# An Amazon Linux 2023 image that boots, runs one job and switches itself off. README.md says how to build it.

packer {
  required_version = ">= 1.11.0"
  required_plugins {
    amazon = {
      source  = "github.com/hashicorp/amazon"
      version = ">= 1.3.3, < 2.0.0"
    }
  }
}

# AWS publishes the newest minimal image of each architecture here.
data "amazon-parameterstore" "arm64" {
  name   = "/aws/service/ami-amazon-linux-latest/al2023-ami-minimal-kernel-default-arm64"
  region = var.region
}

data "amazon-parameterstore" "x86_64" {
  name   = "/aws/service/ami-amazon-linux-latest/al2023-ami-minimal-kernel-default-x86_64"
  region = var.region
}

locals {
  time   = formatdate("YYYYMMDD'T'hhmmss'Z'", timestamp())
  upload = "/tmp/stopgap"
  tags = merge(var.tags, {
    "stopgap:image"  = "true"
    "stopgap:source" = "{{ .SourceAMI }}"
  })
  run_tags = merge(var.tags, {
    "stopgap:image" = "true"
    Name            = "stopgap image build"
  })
}

source "amazon-ebs" "stopgap" {
  region          = var.region
  skip_create_ami = var.skip_create_ami

  # The build machine has no open port: Packer connects through Session Manager. 90-clean.sh removes its key.
  communicator            = "ssh"
  ssh_interface           = "session_manager"
  ssh_username            = "ec2-user"
  ssh_timeout             = "15m"
  temporary_key_pair_type = "ed25519"
  pause_before_ssm        = "20s"
  subnet_id               = var.subnet_id

  # The minimal image lacks the agent.
  user_data = <<-SCRIPT
    #!/bin/bash
    set -euo pipefail
    dnf --assumeyes --setopt=install_weak_deps=False install amazon-ssm-agent
    systemctl start amazon-ssm-agent.service
  SCRIPT

  # Only the part of AmazonSSMManagedInstanceCore that Session Manager needs.
  temporary_iam_instance_profile_policy_document {
    Version = "2012-10-17"
    Statement {
      Effect = "Allow"
      Action = [
        "ssm:UpdateInstanceInformation",
        "ssmmessages:CreateControlChannel",
        "ssmmessages:CreateDataChannel",
        "ssmmessages:OpenControlChannel",
        "ssmmessages:OpenDataChannel",
      ]
      # A policy cannot name channels as resources.
      Resource = ["*"]
    }
  }

  # IMDSv2 only, during the build and on every machine started from the image.
  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }
  imds_support = "v2.0"

  # Encrypted from the start, so the image needs no second copy.
  launch_block_device_mappings {
    encrypted             = true
    kms_key_id            = var.kms_key_id
    device_name           = "/dev/xvda"
    volume_size           = var.volume_gibibytes
    volume_type           = "gp3"
    delete_on_termination = true
  }

  # Packer tags whatever it creates with `stopgap:image` at creation: the policy in README.md depends on it.
  tags            = local.tags
  snapshot_tags   = local.tags
  run_tags        = local.run_tags
  run_volume_tags = local.run_tags
}

build {
  name = "stopgap"

  source "amazon-ebs.stopgap" {
    name          = "arm64"
    ami_name      = "${var.name_prefix}-arm64-${local.time}"
    source_ami    = data.amazon-parameterstore.arm64.value
    instance_type = "t4g.small"
  }

  source "amazon-ebs.stopgap" {
    name          = "x86_64"
    ami_name      = "${var.name_prefix}-x86_64-${local.time}"
    source_ami    = data.amazon-parameterstore.x86_64.value
    instance_type = "t3.small"
  }

  provisioner "shell" {
    inline = ["mkdir --mode=0700 ${local.upload}"]
  }

  provisioner "file" {
    sources     = ["${path.root}/rootfs", "${var.dist}/sync-job-${source.name}", "${var.dist}/SHA256SUMS"]
    destination = "${local.upload}/"
  }

  provisioner "shell" {
    execute_command = "sudo env {{ .Vars }} bash {{ .Path }}"
    env = {
      UPLOAD = local.upload
      BINARY = "sync-job-${source.name}"
    }
    scripts = [
      "${path.root}/provisioners/10-packages.sh",
      "${path.root}/provisioners/20-stopgap.sh",
      "${path.root}/provisioners/30-lock-down.sh",
      "${path.root}/provisioners/90-clean.sh",
      "${path.root}/provisioners/99-assert.sh",
    ]
  }

  post-processor "manifest" {
    output     = "${var.dist}/images.json"
    strip_path = true
  }
}
