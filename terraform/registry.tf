# Images of functions and of migrate.
resource "google_artifact_registry_repository" "images" {
  repository_id = var.name
  location      = var.region
  format        = "DOCKER"
  description   = "Lectern's functions (${var.name})"
  depends_on    = [google_project_service.api]
}
