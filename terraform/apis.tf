# scripts/begin.sh switches the same ones on, some minutes before: Google Cloud knows of one
# a while after it has said so. Terraform adds what a later version needs.
resource "google_project_service" "api" {
  for_each = toset([
    "artifactregistry", "billingbudgets", "cloudbilling", "cloudbuild", "cloudresourcemanager", "cloudscheduler", "cloudtasks", "cloudtrace",
    "compute", "eventarc", "firebaserules", "firestore", "iam", "iamcredentials", "logging", "monitoring", "pubsub", "run",
    "secretmanager", "servicenetworking", "sqladmin", "storage", "telemetry",
  ])

  service            = "${each.key}.googleapis.com"
  disable_on_destroy = false # another Lectern in the project may need them
}
