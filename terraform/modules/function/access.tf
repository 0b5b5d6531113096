# Who may call it.
resource "google_cloud_run_v2_service_iam_member" "invoker" {
  for_each = local.image == null || local.unchecked ? {} : var.invokers

  project  = var.deployment.project
  location = var.deployment.region
  name     = google_cloud_run_v2_service.this[0].name
  role     = "roles/run.invoker"
  member   = each.value
}

# What it may do. Rights are of the one thing that they are needed for, where Google Cloud
# can say so, since another Lectern may live in the project.
resource "google_secret_manager_secret_iam_member" "reader" {
  for_each = var.secrets

  project   = var.deployment.project
  secret_id = each.value
  role      = "roles/secretmanager.secretAccessor"
  member    = local.member
}

resource "google_cloud_tasks_queue_iam_member" "enqueuer" {
  for_each = var.queues

  project  = var.deployment.project
  location = var.deployment.region
  name     = var.deployment.queues[each.key]
  role     = "roles/cloudtasks.enqueuer"
  member   = local.member
}

# https://cloud.google.com/sql/docs/postgres/iam-conditions
resource "google_project_iam_member" "database_client" {
  count = var.database ? 1 : 0

  project = var.deployment.project
  role    = "roles/cloudsql.client"
  member  = local.member
  condition {
    title      = "${var.deployment.database}, the database"
    expression = "resource.type == \"sqladmin.googleapis.com/Instance\" && resource.name == \"projects/${var.deployment.project}/instances/${var.deployment.database}\""
  }
}

# Signing in by IAM. In which databases somebody is a user says Cloud SQL itself, and the
# way to another one is barred by the condition above.
resource "google_project_iam_member" "database_user" {
  count = var.database ? 1 : 0

  project = var.deployment.project
  role    = "roles/cloudsql.instanceUser"
  member  = local.member
}

# https://cloud.google.com/firestore/docs/manage-databases
resource "google_project_iam_member" "live" {
  count = var.live ? 1 : 0

  project = var.deployment.project
  role    = "roles/datastore.user"
  member  = local.member
  condition {
    title      = "${var.deployment.live}, the live documents"
    expression = "resource.name == \"projects/${var.deployment.project}/databases/${var.deployment.live}\""
  }
}

# Listing is asked of the bucket, and not of an object; who may not list is told "forbidden"
# of an object that is not there, where functions want to hear "not found".
# https://cloud.google.com/storage/docs/access-control/iam#conditions
resource "google_storage_bucket_iam_member" "objects" {
  count = length(var.objects) > 0 ? 1 : 0

  bucket = var.deployment.bucket
  role   = "roles/storage.objectUser"
  member = local.member

  dynamic "condition" {
    for_each = contains(var.objects, "") ? [] : [var.objects]
    content {
      title = "only ${join(", ", condition.value)}"
      expression = join(" || ", concat(
        ["resource.type == \"storage.googleapis.com/Bucket\""],
        [for folder in condition.value : "resource.name.startsWith(\"projects/_/buckets/${var.deployment.bucket}/objects/${folder}\")"],
      ))
    }
  }
}

# On Cloud Run nobody has a key: the IAM API signs, for whoever may have it sign.
resource "google_service_account_iam_member" "signer" {
  count = var.signs ? 1 : 0

  service_account_id = "projects/${var.deployment.project}/serviceAccounts/${local.account}"
  role               = "roles/iam.serviceAccountTokenCreator"
  member             = local.member
}
