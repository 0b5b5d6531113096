# Each function is somebody of its own, and may do what its file says.
resource "google_service_account" "function" {
  for_each = local.functions

  account_id   = "${var.name}-${each.key}"
  display_name = "Lectern ${each.key} (${var.name})"
  depends_on   = [google_project_service.api]
}

# Logs go out by the platform, and figures are read from them; spans go out by the function itself.
resource "google_project_iam_member" "telemetry" {
  for_each = local.functions

  project = var.project
  role    = "roles/telemetry.tracesWriter"
  member  = google_service_account.function[each.key].member
}

# Who a queue, the trigger and the scheduler are when they call a function.
resource "google_service_account" "caller" {
  for_each = toset(["finalize", "generate", "ingest", "render", "sweep"])

  account_id   = "${var.name}-to-${each.key}"
  display_name = "Calls Lectern's ${each.key} (${var.name})"
  depends_on   = [google_project_service.api]
}
