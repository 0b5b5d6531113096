# Long work: each step of a job is one task, whose queue calls the function that does it.
#
# How often a step is tried is decided in the database (internal/job): five failures, and
# its job has failed. The queue only has to outlast that. A worker that died keeps its step
# for 30 s, in which its task comes once or twice for nothing, so that twenty attempts are
# more than five failures need; what is interrupted by a release is not counted there, and
# has room here. A task that the queue gives up is sent again by the sweep.
resource "google_cloud_tasks_queue" "this" {
  for_each = toset(["generate", "ingest", "render"])

  name     = "${local.queue_prefix}${each.key}"
  location = var.region

  # What the instances can take, and no more: a task that waits here costs nothing, one
  # that waits before a busy function fails after seconds.
  rate_limits {
    max_concurrent_dispatches = local.pools[each.key].instances * local.pools[each.key].concurrency
    max_dispatches_per_second = 10
  }

  # Both bounds must be passed before a task is given up.
  retry_config {
    max_attempts       = 20
    max_retry_duration = "10800s" # five attempts of 25 minutes, and their pauses
    min_backoff        = "5s"
    max_backoff        = "60s"
    max_doublings      = 4
  }

  # The queue signs for itself: who enqueues needs no right to act as anybody.
  http_target {
    oidc_token {
      service_account_email = google_service_account.caller[each.key].email
      audience              = local.urls[each.key]
    }
  }

  stackdriver_logging_config {
    sampling_ratio = 1 # a task is seconds to minutes of work: its lines cost nothing beside it
  }

  depends_on = [google_project_service.api]
}

locals {
  queue_prefix = "${var.name}-"
}
