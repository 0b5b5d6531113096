# What people may expect (var.objectives), and how fast it is being used up. The objects show
# what is left of it over 28 days; the alerts ask the same series in PromQL, where two
# windows and a least number of failures fit into one condition: with three visitors a day
# one bad request is a third of all.
# https://sre.google/workbook/alerting-on-slos/#6-multiwindow-multi-burn-rate-alerts
locals {
  goals = { for page, goal in {
    chat-slow = {
      title     = "the tutor's first word"
      functions = ["chat"]
      goal      = var.objectives.chat_first_word
      total     = "${local.series.chat_turns_counted}{${local.run}}"
      good      = "${local.series.chat_turns_timely}{${local.run}}"
      windows   = local.windows
    }
    chat-broken = {
      title     = "the tutor's answers"
      functions = ["chat"]
      goal      = var.objectives.chat_answers
      total     = "${local.series.chat_turns_counted}{${local.run}}"
      good      = "${local.series.chat_turns_whole}{${local.run}}"
      windows   = local.windows
    }
    render-failing = {
      title     = "videos"
      functions = ["render"]
      goal      = var.objectives.renders
      total     = "${local.series.jobs_ended}{${local.run},target=\"render\",state=~\"succeeded|failed\"}"
      good      = "${local.series.jobs_ended}{${local.run},target=\"render\",state=\"succeeded\"}"
      windows   = local.slow_windows
    }
    jobs-failing = {
      title     = "written courses and read documents"
      functions = ["generate", "ingest"]
      goal      = var.objectives.renders
      total     = "${local.series.jobs_ended}{${local.run},target=~\"generate|ingest\",state=~\"succeeded|failed\"}"
      good      = "${local.series.jobs_ended}{${local.run},target=~\"generate|ingest\",state=\"succeeded\"}"
      windows   = local.slow_windows
    }
    errors = {
      title     = "requests"
      functions = local.public
      goal      = var.objectives.requests
      total     = "run_googleapis_com:request_count{${local.run},service_name=~\"${local.public_services}\"}"
      good      = "run_googleapis_com:request_count{${local.run},service_name=~\"${local.public_services}\",response_code_class!=\"5xx\"}"
      windows   = local.windows
    }
  } : page => merge(goal, { functions = toset(goal.functions) }) }

  # How many times faster than it may the budget of 28 days is used up, in a long window and,
  # so that an alert ends soon after its cause, still in a short one.
  windows = {
    fast = { factor = 14.4, long = "1h", short = "5m", failures = 3 }
    slow = { factor = 6, long = "6h", short = "30m", failures = 5 }
  }
  # Jobs are few, and take minutes.
  slow_windows = {
    fast = { factor = 14.4, long = "2h", short = "30m", failures = 2 }
    slow = { factor = 6, long = "12h", short = "2h", failures = 3 }
  }

  public_services = "${var.name}-(${join("|", sort(local.public))})"
  run             = "monitored_resource=\"cloud_run_revision\""
  series          = { for name, metric in google_logging_metric.this : name => "logging_googleapis_com:user_${metric.name}" }

  # The share that failed may not pass factor × what may fail; above nine tenths nothing
  # could be told from an outage any more.
  burns = { for page, goal in local.goals : page => { for speed, w in goal.windows : speed => join(" and ", concat(
    [for window in [w.long, w.short] :
    "(1 - (sum(increase(${goal.good}[${window}])) or vector(0)) / sum(increase(${goal.total}[${window}]))) > ${format("%.5f", min(w.factor * (1 - goal.goal), 0.9))}"],
    ["(sum(increase(${goal.total}[${w.long}])) - (sum(increase(${goal.good}[${w.long}])) or vector(0))) > ${w.failures - 0.5}"],
  )) } }
}

resource "google_monitoring_custom_service" "this" {
  count = length(local.objects) > 0 ? 1 : 0

  service_id   = var.name
  display_name = "Lectern (${var.name})"
  depends_on   = [google_project_service.api]
}

# These name metrics, which must be some minutes old: the first apply makes the metrics, and
# the first release, which brings the functions, these.
locals {
  objects = { for page, object in {
    chat-slow = {
      total = "metric.type=\"logging.googleapis.com/user/${google_logging_metric.this["chat_turns_counted"].name}\""
      good  = "metric.type=\"logging.googleapis.com/user/${google_logging_metric.this["chat_turns_timely"].name}\""
    }
    chat-broken = {
      total = "metric.type=\"logging.googleapis.com/user/${google_logging_metric.this["chat_turns_counted"].name}\""
      good  = "metric.type=\"logging.googleapis.com/user/${google_logging_metric.this["chat_turns_whole"].name}\""
    }
    render-failing = {
      total = "metric.type=\"logging.googleapis.com/user/${google_logging_metric.this["jobs_ended"].name}\" metric.labels.target=\"render\" metric.labels.state=one_of(\"succeeded\",\"failed\")"
      good  = "metric.type=\"logging.googleapis.com/user/${google_logging_metric.this["jobs_ended"].name}\" metric.labels.target=\"render\" metric.labels.state=\"succeeded\""
    }
    errors = {
      total = "metric.type=\"run.googleapis.com/request_count\" resource.labels.service_name=monitoring.regex.full_match(\"${local.public_services}\")"
      good  = "metric.type=\"run.googleapis.com/request_count\" resource.labels.service_name=monitoring.regex.full_match(\"${local.public_services}\") metric.labels.response_code_class!=\"5xx\""
    }
  } : page => object if length(setintersection(local.goals[page].functions, keys(local.images))) > 0 }
}

resource "google_monitoring_slo" "this" {
  for_each = local.objects

  service             = google_monitoring_custom_service.this[0].service_id
  slo_id              = each.key
  display_name        = "${local.goals[each.key].title}: ${100 * local.goals[each.key].goal} %"
  goal                = local.goals[each.key].goal
  rolling_period_days = 28

  request_based_sli {
    good_total_ratio {
      total_service_filter = "${each.value.total} resource.type=\"cloud_run_revision\""
      good_service_filter  = "${each.value.good} resource.type=\"cloud_run_revision\""
    }
  }
}
