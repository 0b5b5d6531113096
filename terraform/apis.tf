resource "google_project_service" "api" {
  for_each = toset([
    "artifactregistry", "billingbudgets", "cloudbuild", "cloudresourcemanager", "cloudscheduler", "cloudtasks", "cloudtrace",
    "compute", "eventarc", "firebaserules", "firestore", "iam", "iamcredentials", "logging", "monitoring", "pubsub", "run",
    "secretmanager", "servicenetworking", "sqladmin", "storage", "telemetry",
  ])

  service            = "${each.key}.googleapis.com"
  disable_on_destroy = false # another Lectern in the project may need them
}
