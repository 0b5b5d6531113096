# Documents that people upload (sources/), films (videos/), and their parts for the next
# render (segments/). Nobody reads or writes without a signed address. What the database
# knows no more is deleted by functions, segments by their age (SEGMENT_AGE), and can be
# had back for some days: an object is written once under its name, so that versions would
# add nothing but a second copy of what soft deletion keeps.
resource "google_storage_bucket" "media" {
  name                        = "${var.project}-${var.name}-media"
  location                    = var.region
  force_destroy               = !var.protected
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"

  # Browsers send documents to it (internal/gcp/gcs signs these headers), and play films with
  # captions from it, which both need the page's origin to be known here.
  cors {
    origin          = local.origins
    method          = ["PUT"]
    response_header = ["Content-Type", "x-goog-content-length-range", "x-goog-if-generation-match"]
    max_age_seconds = 3600
  }
  cors {
    origin          = local.origins
    method          = ["GET", "HEAD"]
    response_header = ["Accept-Ranges", "Content-Length", "Content-Range", "Content-Type", "ETag", "Range"]
    max_age_seconds = 3600
  }

  # What was begun in parts and never completed is seen by nobody, but paid for.
  lifecycle_rule {
    action {
      type = "AbortIncompleteMultipartUpload"
    }
    condition {
      age = 1
    }
  }
  # Segments that the sweep has not removed, since it stands still.
  lifecycle_rule {
    action {
      type = "Delete"
    }
    condition {
      age            = 90
      matches_prefix = ["segments/"]
    }
  }

  soft_delete_policy {
    retention_duration_seconds = var.deleted_days * 86400
  }

  depends_on = [google_project_service.api]
}

locals {
  # Where pages come from: the address that people know, and Cloud Run's own beside it.
  origins = distinct(concat([local.public_url, local.urls.web], var.trusted_origins))
}
