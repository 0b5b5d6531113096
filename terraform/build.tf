# The pipeline (cloudbuild.yaml): a push to the branch builds, migrates, deploys, tries and
# then serves. Its account deploys functions; whether it may also change what they stand on
# is a variable. What it may not: say who may do what, switch on an API, make or read a
# secret, change the bucket, the registry or this trigger, or delete the database or a user
# of it. Those are applied by hand, and a push that wants them fails, with nothing harmed.
resource "google_service_account" "build" {
  account_id   = "${var.name}-build"
  display_name = "Releases Lectern (${var.name})"
  depends_on   = [google_project_service.api]
}

locals {
  pipeline_roles = merge(
    {
      "roles/logging.logWriter"        = "the build's own log"
      "roles/run.admin"                = "services and the job, their traffic, and who may call a service that is new"
      "roles/eventarc.admin"           = "the trigger of finalize, which is made with the first release"
      "roles/cloudscheduler.admin"     = "the sweep's schedule, which is, too"
      "roles/cloudbuild.builds.viewer" = "whether another build is releasing"

      # Terraform looks at all that there is before it changes any of it.
      "roles/browser"                           = "the project, and who may do what in it"
      "roles/iam.securityReviewer"              = "who may do what with each thing"
      "roles/iam.serviceAccountViewer"          = "the service accounts"
      "roles/serviceusage.serviceUsageConsumer" = "which APIs are on; calls count for this project"
      "roles/compute.networkViewer"             = "the network and the load balancer"
      "roles/cloudsql.viewer"                   = "the database and its users"
      "roles/firebaserules.viewer"              = "Firestore's rules"
      "roles/secretmanager.viewer"              = "which secrets there are, not what they say"
      "roles/cloudtasks.viewer"                 = "the queues"
      "roles/monitoring.viewer"                 = "alerts, checks and the dashboard"
    },
    var.pipeline_changes_platform ? {
      "roles/cloudsql.editor"       = "the database's tier, flags and backups; not to delete it, nor its users"
      "roles/datastore.indexAdmin"  = "Firestore's fields"
      "roles/firebaserules.admin"   = "Firestore's rules"
      "roles/cloudtasks.queueAdmin" = "the queues' rates and retries"
      "roles/compute.networkAdmin"  = "the network and the load balancer"
      "roles/monitoring.editor"     = "alerts, checks and the dashboard"
      "roles/logging.configWriter"  = "the log-based metrics"
    } : {},
    var.pipeline_changes_platform && var.load_balancer ? {
      "roles/compute.loadBalancerAdmin" = "the load balancer's certificate"
    } : {},
  )
}

# What Terraform looks at, too, and no role of Google's shows without showing more: with
# Firestore's fields its documents, with metrics the log. The id of a role that went is taken
# for five weeks; that of the account, which is a part of it, never comes again.
resource "google_project_iam_custom_role" "build_looks" {
  role_id = "${replace(var.name, "-", "_")}_build_looks_${google_service_account.build.unique_id}"
  title   = "Looks at what Lectern stands on (${var.name})"
  permissions = [
    "datastore.databases.get", "datastore.databases.getMetadata", "datastore.indexes.get", "datastore.indexes.list",
    "logging.logMetrics.get", "logging.logMetrics.list",
    "servicenetworking.services.get", # the network's connection with Cloud SQL
  ]
  depends_on = [google_project_service.api]
}

resource "google_project_iam_member" "build_looks" {
  project = var.project
  role    = google_project_iam_custom_role.build_looks.name
  member  = google_service_account.build.member
}

resource "google_project_iam_member" "build" {
  for_each = local.pipeline_roles

  project = var.project
  role    = each.key
  member  = google_service_account.build.member
}

# It has services, the job, queues, the trigger and the schedule run as these, and as nobody
# else in the project.
resource "google_service_account_iam_member" "build_acts_as" {
  for_each = merge(
    { for f, account in google_service_account.function : f => account.name },
    { for f, account in google_service_account.caller : "to-${f}" => account.name },
    { migrate = google_service_account.migrate.name },
  )

  service_account_id = each.value
  role               = "roles/iam.serviceAccountUser"
  member             = google_service_account.build.member
}

resource "google_artifact_registry_repository_iam_member" "build" {
  repository = google_artifact_registry_repository.images.name
  location   = google_artifact_registry_repository.images.location
  role       = "roles/artifactregistry.writer"
  member     = google_service_account.build.member
}

# The state, the lists of images and the variables of this Lectern, and of no other that
# keeps its own in the same bucket. Listing is asked of the bucket.
resource "google_storage_bucket_iam_member" "build_state" {
  bucket = local.state_bucket
  role   = "roles/storage.objectAdmin"
  member = google_service_account.build.member
  condition {
    title      = "only ${var.name}/"
    expression = "resource.name.startsWith(\"projects/_/buckets/${local.state_bucket}/objects/${var.name}/\")"
  }
}

resource "google_storage_bucket_iam_member" "build_lists" {
  for_each = { state = local.state_bucket, media = google_storage_bucket.media.name }

  bucket = each.value
  role   = "roles/storage.legacyBucketReader" # the bucket itself, and names of objects
  member = google_service_account.build.member
}

# The one secret that a release reads: by it the new tutor is asked before it serves.
resource "google_secret_manager_secret_iam_member" "build_probes" {
  count = var.probe_has_key ? 1 : 0

  secret_id = google_secret_manager_secret.this["probe_key"].secret_id
  role      = "roles/secretmanager.secretAccessor"
  member    = google_service_account.build.member
}

resource "google_billing_account_iam_member" "build" {
  count = var.billing_account == "" ? 0 : 1

  billing_account_id = var.billing_account
  role               = "roles/billing.viewer" # the budget
  member             = google_service_account.build.member
}

resource "google_cloudbuild_trigger" "push" {
  count = var.repository == null ? 0 : 1

  name            = "${var.name}-push"
  description     = "Releases Lectern (${var.name}) when ${var.repository.branch} is pushed"
  location        = var.region # where its connection is
  service_account = google_service_account.build.id
  filename        = "cloudbuild.yaml"

  repository_event_config {
    repository = "projects/${var.project}/locations/${var.region}/connections/${var.repository.connection}/repositories/${var.repository.name}"
    push {
      branch = "^${replace(var.repository.branch, ".", "\\.")}$"
    }
  }

  substitutions = {
    _NAME         = var.name
    _REGION       = var.region
    _STATE_BUCKET = local.state_bucket
    _PROBE_SECRET = var.probe_has_key ? google_secret_manager_secret.this["probe_key"].secret_id : ""
  }

  # A build that starts at once has all that it needs.
  depends_on = [
    google_project_iam_member.build, google_project_iam_member.build_looks, google_service_account_iam_member.build_acts_as,
    google_artifact_registry_repository_iam_member.build, google_storage_bucket_iam_member.build_state,
    google_storage_bucket_iam_member.build_lists, google_secret_manager_secret_iam_member.build_probes,
  ]
}
