resource "google_cloud_run_v2_service_iam_member" "invoker" {
  for_each = local.image == null ? {} : var.invokers

  project  = var.deployment.project
  location = var.deployment.region
  name     = google_cloud_run_v2_service.this[0].name
  role     = "roles/run.invoker"
  member   = each.value
}

resource "google_secret_manager_secret_iam_member" "reader" {
  for_each = var.secrets

  project   = var.deployment.project
  secret_id = each.value
  role      = "roles/secretmanager.secretAccessor"
  member    = "serviceAccount:${local.account}"
}
