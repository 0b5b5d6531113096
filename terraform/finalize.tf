# Hears of objects that are complete in the bucket: publishes films, starts readings.
module "finalize" {
  source     = "./modules/function"
  function   = "finalize"
  deployment = local.deployment
  invokers   = { trigger = google_service_account.caller["finalize"].member }

  # It looks at the object, writes a row and sends a task: a second, and 30 s when the bucket
  # and the queue are slow. An event that is not answered comes again for a day. A film is a
  # few objects, of which all but one are passed over at once.
  memory_mib      = 512
  concurrency     = local.pools.finalize.concurrency
  timeout_seconds = 60
  max_instances   = local.pools.finalize.instances

  # It removes uploads that belong to nothing; of films it reads what they are.
  live    = true
  objects = ["sources/", "videos/"]
  queues  = ["ingest", "render"]

  environment = merge(
    local.settings.every,
    local.settings.database.finalize,
    local.settings.bucket,
    local.settings.live,
    local.settings.private.finalize,
    local.settings.queue,
    { INGEST_URL = local.urls.ingest, RENDER_URL = local.urls.render },
    { OIDC_AUDIENCE = join(",", compact([local.urls.finalize, local.finalize_other_url])) },
  )
}

# Queues and the scheduler say for which address their tokens are; the trigger cannot be
# told, and a service has two. The second is made with a hash that all services of a project
# have in a region: it is read from web's.
locals {
  finalize_other_url = try("https://${var.name}-finalize-${regex("-([a-z0-9]+-[a-z0-9]+)\\.a\\.run\\.app$", module.web.url)[0]}.a.run.app", "")
}

resource "google_eventarc_trigger" "finalize" {
  count = module.finalize.service == null ? 0 : 1

  name            = "${var.name}-finalize"
  location        = lower(google_storage_bucket.media.location) # an event is heard of where its bucket is
  service_account = google_service_account.caller["finalize"].email

  matching_criteria {
    attribute = "type"
    value     = "google.cloud.storage.object.v1.finalized"
  }
  matching_criteria {
    attribute = "bucket"
    value     = google_storage_bucket.media.name
  }

  destination {
    cloud_run_service {
      service = module.finalize.service
      region  = var.region
      path    = "/"
    }
  }

  depends_on = [google_project_iam_member.storage_publishes, google_project_iam_member.trigger_receives, module.finalize]
}

resource "google_project_iam_member" "trigger_receives" {
  project = var.project
  role    = "roles/eventarc.eventReceiver"
  member  = google_service_account.caller["finalize"].member
}

# Cloud Storage tells of its objects by Pub/Sub, as one account for the whole project. The
# condition always holds: by it the right is this Lectern's own, and goes with it, while that
# of another Lectern in the project stays.
data "google_storage_project_service_account" "this" {}

resource "google_project_iam_member" "storage_publishes" {
  project = var.project
  role    = "roles/pubsub.publisher"
  member  = data.google_storage_project_service_account.this.member
  condition {
    title      = "for ${var.name}"
    expression = "request.time > timestamp(\"2020-01-01T00:00:00Z\")"
  }
}
