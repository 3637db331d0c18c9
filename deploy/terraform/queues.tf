# A queue for each step, and beside it one for what could not be done. LIKENESS_QUEUE is sqs://REGION/PREFIX.
locals {
  steps = toset(["detect", "identify", "enrol", "tell"])
}

data "aws_caller_identity" "this" {}

resource "aws_sqs_queue" "dead" {
  for_each                          = local.steps
  name                              = "${var.prefix}-${each.key}-dead"
  message_retention_seconds         = 1209600
  sqs_managed_sse_enabled           = var.kms_key_arn == "" ? true : null
  kms_master_key_id                 = var.kms_key_arn == "" ? null : var.kms_key_arn
  kms_data_key_reuse_period_seconds = var.kms_key_arn == "" ? null : 3600
}

# Workers bury a message themselves, with its reason, after five deliveries. The redrive is for what no worker could
# even take in hand.
resource "aws_sqs_queue" "step" {
  for_each                          = local.steps
  name                              = "${var.prefix}-${each.key}"
  visibility_timeout_seconds        = 60
  message_retention_seconds         = 1209600
  receive_wait_time_seconds         = 20
  sqs_managed_sse_enabled           = var.kms_key_arn == "" ? true : null
  kms_master_key_id                 = var.kms_key_arn == "" ? null : var.kms_key_arn
  kms_data_key_reuse_period_seconds = var.kms_key_arn == "" ? null : 3600

  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.dead[each.key].arn
    maxReceiveCount     = 12
  })
}

resource "aws_sqs_queue_redrive_allow_policy" "dead" {
  for_each  = local.steps
  queue_url = aws_sqs_queue.dead[each.key].id

  redrive_allow_policy = jsonencode({
    redrivePermission = "byQueue"
    sourceQueueArns   = [aws_sqs_queue.step[each.key].arn]
  })
}

# Of all services only S3, of all buckets only the one of photos, of all accounts only this one.
data "aws_iam_policy_document" "events" {
  statement {
    sid       = "EventsOfPhotos"
    actions   = ["sqs:SendMessage"]
    resources = [aws_sqs_queue.step["detect"].arn]

    principals {
      type        = "Service"
      identifiers = ["s3.amazonaws.com"]
    }

    condition {
      test     = "ArnEquals"
      variable = "aws:SourceArn"
      values   = [aws_s3_bucket.this["photos"].arn]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [data.aws_caller_identity.this.account_id]
    }
  }
}

resource "aws_sqs_queue_policy" "events" {
  queue_url = aws_sqs_queue.step["detect"].id
  policy    = data.aws_iam_policy_document.events.json
}

resource "aws_s3_bucket_notification" "photos" {
  bucket = aws_s3_bucket.this["photos"].id

  queue {
    id            = "arrivals"
    queue_arn     = aws_sqs_queue.step["detect"].arn
    events        = ["s3:ObjectCreated:*"]
    filter_prefix = var.inbox
  }

  depends_on = [aws_sqs_queue_policy.events]
}
