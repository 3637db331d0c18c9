variable "region" {
  description = "Region of buckets and queues."
  type        = string
}

variable "prefix" {
  description = "Begins the names of all that is made; buckets' names are the whole world's, so take one that is yours."
  type        = string
  default     = "likeness"

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9-]{1,30}$", var.prefix))
    error_message = "Small letters, figures and hyphens, 2 to 31 of them."
  }
}

variable "inbox" {
  description = "Photos below this prefix of the bucket of photos are looked at as they arrive."
  type        = string
  default     = "inbox/"
}

variable "photos_kept_days" {
  description = "Photos in the inbox are deleted after so many days; 0 keeps them."
  type        = number
  default     = 30

  validation {
    condition     = var.photos_kept_days >= 0
    error_message = "A number of days, or 0."
  }
}

variable "kms_key_arn" {
  description = "Key of KMS that encrypts buckets and queues; empty takes S3's and SQS's own. Its policy must let S3 use it for the queue."
  type        = string
  default     = ""
}

variable "tags" {
  description = "More tags on all that is made."
  type        = map(string)
  default     = {}
}
