# Figures are read from the one line that the log has of each thing: a function whose
# processor stops between requests cannot be trusted to send them. That a line has what is
# read here is shown where it is written (internal/logtest).
#
# What it costs, by the price list as of 2025: 150 MiB of user-defined metrics a month are
# free for a billing account, then 0.258 US dollars a MiB. A counter's point takes 8 bytes
# and a distribution's 80; each series has at most one a minute, and only while lines come.
# All of these, written every minute of a month by one instance each, are below 60 MiB.
locals {
  # Two environments share a project's metrics, and PromQL's names have no hyphens.
  metric_prefix = replace(var.name, "-", "_")

  milliseconds = [1, 5, 10, 25, 50, 100, 250, 500, 1000, 2000, 3000, 4000, 6000, 8000, 12000, 20000, 30000, 60000, 120000, 300000, 600000, 1800000, 3600000]
  tokens       = [1, 10, 50, 100, 250, 500, 1000, 2000, 4000, 8000, 16000, 32000, 64000, 128000, 512000]
  micros       = [1, 10, 100, 1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000, 500000, 1000000, 5000000, 25000000]
  seconds      = [1, 5, 15, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 43200, 86400]
  factors      = [0.25, 0.5, 1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 75, 100, 250]

  # What is nobody's fault here: the budget is spent, a limit is reached, the question is none.
  theirs = "jsonPayload.kind=~\"^(payment required|exhausted|invalid|denied|conflict|not found|too large)$\""

  metrics = {
    # The tutor.
    chat_turns = {
      functions = ["chat"]
      line      = "turn"
      says      = "Answers of the tutor, by how they ended."
      labels    = { state = "state", backup = "backup" }
    }
    chat_turns_counted = {
      functions = ["chat"]
      line      = "turn"
      says      = "Answers that count for the objectives."
      where     = "NOT ${local.theirs}"
    }
    chat_turns_timely = {
      functions = ["chat"]
      line      = "turn"
      says      = "Of those, the ones whose first word came in time."
      where     = "NOT ${local.theirs} AND jsonPayload.ttfb_ms>0 AND jsonPayload.ttfb_ms<=${var.objectives.chat_first_word_ms}"
    }
    chat_turns_whole = {
      functions = ["chat"]
      line      = "turn"
      says      = "Of those, the ones that came to an end, or were stopped by who asked."
      where     = "NOT ${local.theirs} AND jsonPayload.state=(\"complete\" OR \"stopped\")"
    }
    chat_ttfb = {
      functions = ["chat"]
      line      = "turn"
      says      = "Milliseconds until the first word."
      where     = "jsonPayload.ttfb_ms>0"
      value     = "ttfb_ms"
      unit      = "ms"
      buckets   = local.milliseconds
    }
    chat_input_tokens = {
      functions = ["chat"]
      line      = "turn"
      says      = "Tokens that an answer was made from."
      value     = "input_tokens"
      unit      = "{token}"
      buckets   = local.tokens
    }
    chat_output_tokens = {
      functions = ["chat"]
      line      = "turn"
      says      = "Tokens of an answer."
      value     = "output_tokens"
      unit      = "{token}"
      buckets   = local.tokens
    }
    chat_cost = {
      functions = ["chat"]
      line      = "turn"
      says      = "What an answer cost, in millionths of a US dollar."
      value     = "cost_micros"
      unit      = "{micro_usd}"
      buckets   = local.micros
    }

    # Long work.
    attempts = {
      functions = ["generate", "ingest", "render"]
      line      = "attempt"
      says      = "Attempts at steps, by queue and by what became of them."
      labels    = { target = "target", outcome = "outcome" }
    }
    queue_age = {
      functions = ["generate", "ingest", "render"]
      line      = "attempt"
      says      = "Milliseconds from when a step could be done to when it was begun."
      value     = "queue_age_ms"
      labels    = { target = "target" }
      unit      = "ms"
      buckets   = local.milliseconds
    }
    attempt_duration = {
      functions = ["generate", "ingest", "render"]
      line      = "attempt"
      says      = "Milliseconds that an attempt took."
      value     = "duration_ms"
      labels    = { target = "target" }
      unit      = "ms"
      buckets   = local.milliseconds
    }
    attempt_input_tokens = {
      functions = ["generate"]
      line      = "attempt"
      says      = "Tokens that a step of writing was made from."
      where     = "jsonPayload.model_calls>0"
      value     = "input_tokens"
      unit      = "{token}"
      buckets   = local.tokens
    }
    attempt_output_tokens = {
      functions = ["generate"]
      line      = "attempt"
      says      = "Tokens that models wrote in a step."
      where     = "jsonPayload.model_calls>0"
      value     = "output_tokens"
      unit      = "{token}"
      buckets   = local.tokens
    }
    attempt_cost = {
      functions = ["generate", "render"]
      line      = "attempt"
      says      = "What a step cost, in millionths of a US dollar."
      where     = "jsonPayload.cost_micros>0"
      value     = "cost_micros"
      labels    = { target = "target" }
      unit      = "{micro_usd}"
      buckets   = local.micros
    }
    jobs_ended = {
      functions = ["courses", "finalize", "generate", "ingest", "render", "sweep"]
      line      = "job ended"
      says      = "Jobs, by what they were for and how they ended."
      labels    = { target = "target", state = "state" }
    }
    job_seconds = {
      functions = ["courses", "finalize", "generate", "ingest", "render", "sweep"]
      line      = "job ended"
      says      = "Seconds from when a job was made to its success."
      where     = "jsonPayload.state=\"succeeded\""
      value     = "total_seconds"
      labels    = { target = "target" }
      unit      = "s"
      buckets   = local.seconds
    }
    job_waited = {
      functions = ["courses", "finalize", "generate", "ingest", "render", "sweep"]
      line      = "job ended"
      says      = "Seconds of those before anybody began."
      where     = "jsonPayload.state=\"succeeded\""
      value     = "waited_seconds"
      labels    = { target = "target" }
      unit      = "s"
      buckets   = local.seconds
    }
    job_cost = {
      functions = ["courses", "finalize", "generate", "ingest", "render", "sweep"]
      line      = "job ended"
      says      = "What a job came to, in millionths of a US dollar."
      value     = "cost_micros"
      labels    = { target = "target" }
      unit      = "{micro_usd}"
      buckets   = local.micros
    }
    render_realtime_factor = {
      functions = ["render"]
      line      = "film"
      says      = "Seconds of film made in a second."
      value     = "realtime_factor"
      unit      = "1"
      buckets   = local.factors
    }
    render_lesson_seconds = {
      functions = ["render"]
      line      = "film"
      says      = "Seconds that films last."
      value     = "lesson_seconds"
      unit      = "s"
      buckets   = local.seconds
    }
    render_cpu_seconds = {
      functions = ["render"]
      line      = "film"
      says      = "Seconds of a processor that films took."
      value     = "cpu_seconds"
      unit      = "s"
      buckets   = local.seconds
    }
    objects = {
      functions = ["finalize"]
      line      = "object finalized"
      says      = "Objects that were heard of, by what became of them."
      labels    = { outcome = "outcome" }
    }
    object_lag = {
      functions = ["finalize"]
      line      = "object finalized"
      says      = "Milliseconds from when an object was complete to when it was heard of."
      value     = "lag_ms"
      unit      = "ms"
      buckets   = local.milliseconds
    }

    # The sweep, and what it found.
    sweeps = {
      functions = ["sweep"]
      line      = "swept"
      says      = "Sweeps that went through."
      where     = "NOT jsonPayload.report.error:* AND jsonPayload.report.busy=false"
    }
    sweeps_stuck = {
      functions = ["sweep"]
      line      = "swept"
      says      = "Sweeps that found jobs that nobody works on."
      where     = "jsonPayload.survey.stuck_jobs>0"
    }
    sweeps_budget = {
      functions = ["sweep"]
      line      = "swept"
      says      = "Sweeps that found organizations whose budget is used up."
      where     = "jsonPayload.survey.budgets_used_up>0"
    }
    sweeps_unheard = {
      functions = ["sweep"]
      line      = "swept"
      says      = "Sweeps that found objects whose event had not come."
      where     = "jsonPayload.report.unheard>0 OR jsonPayload.report.uploads>0"
    }
    swept_lost = {
      functions = ["sweep"]
      line      = "swept"
      says      = "Steps whose task had vanished and was sent again."
      where     = "jsonPayload.report.lost>0"
      value     = "report.lost"
      unit      = "1"
      buckets   = local.tokens
    }
    queue_oldest = {
      functions = ["sweep"]
      line      = "swept"
      says      = "Seconds that the oldest step in any queue has waited."
      value     = "survey.oldest_queued_seconds"
      unit      = "s"
      buckets   = local.seconds
    }
    queue_steps = {
      functions = ["sweep"]
      line      = "swept"
      says      = "Steps that wait in queues."
      value     = "survey.queued_steps"
      unit      = "1"
      buckets   = local.tokens
    }
    jobs_waiting = {
      functions = ["sweep"]
      line      = "swept"
      says      = "Jobs that wait for a person or a budget."
      value     = "survey.waiting_jobs"
      unit      = "1"
      buckets   = local.tokens
    }

    # Every function that asks the database.
    database_wait = {
      functions = ["auth", "chat", "courses", "finalize", "generate", "ingest", "render", "sweep"]
      line      = "request"
      says      = "Milliseconds that requests waited for a connection, of those that did."
      where     = "jsonPayload.database_wait_ms>0"
      value     = "database_wait_ms"
      unit      = "ms"
      buckets   = local.milliseconds
    }
  }
}

resource "google_logging_metric" "this" {
  for_each = local.metrics

  name        = "${local.metric_prefix}_${each.key}"
  description = "${each.value.says} (${var.name})"
  filter = join(" AND ", compact([
    "resource.type=\"cloud_run_revision\"",
    "resource.labels.service_name=(${join(" OR ", [for f in each.value.functions : "\"${var.name}-${f}\""])})",
    "jsonPayload.message=\"${each.value.line}\"",
    can(each.value.where) ? "(${each.value.where})" : "",
  ]))

  # Of a line's figures the log knows the distribution; what only is counted has no value.
  value_extractor  = can(each.value.value) ? "EXTRACT(jsonPayload.${each.value.value})" : null
  label_extractors = { for label, field in try(each.value.labels, {}) : label => "EXTRACT(jsonPayload.${field})" }

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = can(each.value.value) ? "DISTRIBUTION" : "INT64"
    unit        = try(each.value.unit, "1")

    dynamic "labels" {
      for_each = try(each.value.labels, {})
      content {
        key        = labels.key
        value_type = "STRING"
      }
    }
  }

  dynamic "bucket_options" {
    for_each = can(each.value.buckets) ? [each.value.buckets] : []
    content {
      explicit_buckets {
        bounds = bucket_options.value
      }
    }
  }

  depends_on = [google_project_service.api]
}
