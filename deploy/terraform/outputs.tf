output "settings" {
  description = "Settings of Likeness, as environment variables."
  value = {
    LIKENESS_QUEUE   = "sqs://${var.region}/${var.prefix}"
    LIKENESS_SPOOL   = "s3://${aws_s3_bucket.this["spool"].id}"
    LIKENESS_STORAGE = "s3://${aws_s3_bucket.this["faces"].id}"
  }
}

output "inbox" {
  description = "Where photos are put."
  value       = "s3://${aws_s3_bucket.this["photos"].id}/${var.inbox}"
}

output "policy_arn" {
  description = "Attach it to the role of the pods or machines."
  value       = aws_iam_policy.likeness.arn
}
