# Job binary, certificates, job files and run records. Artifacts are named after their content, so Terraform shows each change.

resource "aws_s3_bucket" "artifacts" {
  #checkov:skip=CKV_AWS_18:Access logs need a second bucket; CloudTrail's data events serve those who must know who read a record
  #checkov:skip=CKV_AWS_144:Everything but the run records is made again by an apply; records are not worth a second region
  #checkov:skip=CKV2_AWS_62:Nobody waits for objects to arrive
  bucket_prefix = "${local.name}-"
  force_destroy = var.bucket_force_destroy
  tags          = local.tags
}

resource "aws_s3_bucket_public_access_block" "artifacts" {
  bucket                  = aws_s3_bucket.artifacts.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_versioning" "artifacts" {
  bucket = aws_s3_bucket.artifacts.id
  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "artifacts" {
  bucket = aws_s3_bucket.artifacts.id
  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm = "aws:kms"
    }
    bucket_key_enabled = true
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "artifacts" {
  bucket     = aws_s3_bucket.artifacts.id
  depends_on = [aws_s3_bucket_versioning.artifacts]
  rule {
    id     = "old-versions"
    status = "Enabled"
    filter {}
    noncurrent_version_expiration {
      noncurrent_days = 90
    }
    # What is left of an object that has expired.
    expiration {
      expired_object_delete_marker = true
    }
    abort_incomplete_multipart_upload {
      days_after_initiation = 7
    }
  }
  # Run records are written over several times within a run; who wants an old version has the day to fetch it.
  dynamic "rule" {
    for_each = { heads = var.head_retention_days, runs = var.report_retention_days }
    content {
      id     = rule.key
      status = "Enabled"
      filter {
        prefix = "${rule.key}/"
      }
      expiration {
        days = rule.value
      }
      noncurrent_version_expiration {
        noncurrent_days = 1
      }
    }
  }
}

data "aws_iam_policy_document" "bucket" {
  statement {
    sid       = "OnlyEncryptedConnections"
    effect    = "Deny"
    actions   = ["s3:*"]
    resources = [aws_s3_bucket.artifacts.arn, "${aws_s3_bucket.artifacts.arn}/*"]
    principals {
      type        = "*"
      identifiers = ["*"]
    }
    condition {
      test     = "Bool"
      variable = "aws:SecureTransport"
      values   = ["false"]
    }
  }
}

resource "aws_s3_bucket_policy" "artifacts" {
  bucket     = aws_s3_bucket.artifacts.id
  policy     = data.aws_iam_policy_document.bucket.json
  depends_on = [aws_s3_bucket_public_access_block.artifacts]
}

resource "aws_s3_object" "job_binary" {
  bucket      = aws_s3_bucket.artifacts.id
  key         = "bin/sync-job-${filesha256(var.job_binary)}"
  source      = var.job_binary
  source_hash = filesha256(var.job_binary)
  depends_on  = [aws_s3_bucket_server_side_encryption_configuration.artifacts]
  # Launch templates name the old one until they change, so delete it last.
  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_s3_object" "ca_file" {
  for_each     = var.ca_files
  bucket       = aws_s3_bucket.artifacts.id
  key          = "ca/${filesha256(each.value)}-${each.key}"
  source       = each.value
  source_hash  = filesha256(each.value)
  content_type = "application/x-pem-file"
  depends_on   = [aws_s3_bucket_server_side_encryption_configuration.artifacts]
  lifecycle {
    create_before_destroy = true
  }
}

# Instances look for the job's name, so the key is fixed; `content` shows a change line by line.
resource "aws_s3_object" "job_file" {
  for_each     = var.jobs
  bucket       = aws_s3_bucket.artifacts.id
  key          = "jobs/${each.key}.toml"
  content      = each.value.file == null ? each.value.content : file(each.value.file)
  content_type = "application/toml"
  depends_on   = [aws_s3_bucket_server_side_encryption_configuration.artifacts]
}
