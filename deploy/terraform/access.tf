# What workers may do, and the API with them: attach it to the role that their pods or machines have.
data "aws_iam_policy_document" "likeness" {
  statement {
    sid = "Queues"
    actions = [
      "sqs:GetQueueUrl",
      "sqs:GetQueueAttributes",
      "sqs:SendMessage",
      "sqs:ReceiveMessage",
      "sqs:DeleteMessage",
      "sqs:ChangeMessageVisibility",
    ]
    resources = concat(values(aws_sqs_queue.step)[*].arn, values(aws_sqs_queue.dead)[*].arn)
  }

  statement {
    sid       = "Names"
    actions   = ["s3:ListBucket"]
    resources = values(aws_s3_bucket.this)[*].arn
  }

  statement {
    sid       = "Photos"
    actions   = ["s3:GetObject"]
    resources = ["${aws_s3_bucket.this["photos"].arn}/*"]
  }

  statement {
    sid       = "SpoolAndFaces"
    actions   = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"]
    resources = [for name in ["spool", "faces"] : "${aws_s3_bucket.this[name].arn}/*"]
  }

  dynamic "statement" {
    for_each = var.kms_key_arn == "" ? [] : [var.kms_key_arn]

    content {
      sid       = "Key"
      actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
      resources = [statement.value]
    }
  }
}

resource "aws_iam_policy" "likeness" {
  name        = "${var.prefix}-worker"
  description = "Likeness: its queues, its buckets, nothing else."
  policy      = data.aws_iam_policy_document.likeness.json
}
