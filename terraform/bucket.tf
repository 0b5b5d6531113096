# Documents that people upload, and films. Nobody reads it without a signed address.
resource "google_storage_bucket" "media" {
  name                        = "${var.project}-${var.name}-media"
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  depends_on                  = [google_project_service.api]
}
