data "google_project" "this" {
  project_id = var.project
}

locals {
  functions = toset(["auth", "chat", "courses", "finalize", "generate", "ingest", "render", "sweep", "web"])

  # Who people and their programs call; each checks by itself who asks. All others are
  # called by a queue, an event or the scheduler, which Cloud Run checks first.
  public = toset(["auth", "chat", "courses", "web"])

  # Cloud Run's addresses are known before the services are: functions name each other
  # without a circle. https://cloud.google.com/run/docs/triggering/https-request#deterministic
  urls       = { for f in local.functions : f => "https://${var.name}-${f}-${data.google_project.this.number}.${var.region}.run.app" }
  public_url = coalesce(var.public_url, local.urls.web)

  # What every function is made with.
  deployment = {
    project    = var.project
    region     = var.region
    name       = var.name
    images     = local.images
    accounts   = { for f, account in google_service_account.function : f => account.email }
    subnetwork = google_compute_subnetwork.functions.id
    database   = google_sql_database_instance.this.name
    live       = google_firestore_database.live.name
    bucket     = google_storage_bucket.media.name
    restricted = var.domain_restricted
    queues     = { for target, queue in google_cloud_tasks_queue.this : target => queue.name }
  }
}
