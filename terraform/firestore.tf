# What people see moving: one small document a job. Nothing in it is the only copy.
resource "google_firestore_database" "live" {
  name        = "${var.name}-live"
  location_id = var.region
  type        = "FIRESTORE_NATIVE"
  depends_on  = [google_project_service.api]
}
