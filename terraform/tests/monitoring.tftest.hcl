# Who is told of what, when there is something to tell.
mock_provider "google" {
  source          = "./tests/google"
  override_during = plan
}

variables {
  project = "lectern-test"
  images = {
    auth   = "i/auth", chat = "i/chat", courses = "i/courses", finalize = "i/finalize", generate = "i/generate",
    ingest = "i/ingest", render = "i/render", sweep = "i/sweep", web = "i/web",
  }
}

run "an_empty_platform_wakes_nobody" {
  command = plan
  variables {
    images = {}
  }

  assert {
    condition     = length(google_monitoring_alert_policy.this) == 0 && length(google_monitoring_alert_policy.down) == 0
    error_message = "There are alerts of functions that are not there: ${jsonencode(keys(google_monitoring_alert_policy.this))}"
  }
  assert {
    condition     = length(google_monitoring_uptime_check_config.this) == 0 && length(google_monitoring_slo.this) == 0
    error_message = "Something is asked or promised that is not there."
  }
  assert {
    condition     = length(google_logging_metric.this) == length(local.metrics) && length(google_logging_metric.this) > 25
    error_message = "The metrics are there before the functions: alerts need them to be known."
  }
  # Counted as they will be, so that the cost is the same before and after the first release.
  assert {
    condition     = local.alert_conditions == 16
    error_message = "${local.alert_conditions} alerts are counted as paid for."
  }
  assert {
    condition     = length(google_billing_budget.this) == 0
    error_message = "A budget needs a billing account."
  }
}

run "one_function_has_its_alerts" {
  command = plan
  variables {
    images = { sweep = "i/sweep" }
  }

  assert {
    condition = toset(keys(google_monitoring_alert_policy.this)) == toset(["budget-used-up", "database-connections", "database-cpu", "database-disk",
    "dead-sweep", "memory-full", "pool-waits", "stuck-jobs"])
    error_message = "Of sweep alone: ${jsonencode(keys(google_monitoring_alert_policy.this))}"
  }
}

run "by_default" {
  command = plan

  # Filters are bound to this Lectern: another one in the project has the same lines.
  assert {
    condition = alltrue([for metric in google_logging_metric.this :
      strcontains(metric.filter, "resource.type=\"cloud_run_revision\" AND resource.labels.service_name=(\"lectern-") &&
    strcontains(metric.filter, " AND jsonPayload.message=\"") && startswith(metric.name, "lectern_")])
    error_message = "A metric counts others' lines."
  }
  assert {
    condition = google_logging_metric.this["attempts"].filter == join(" AND ", [
      "resource.type=\"cloud_run_revision\"", "resource.labels.service_name=(\"lectern-generate\" OR \"lectern-ingest\" OR \"lectern-render\")",
    "jsonPayload.message=\"attempt\""])
    error_message = google_logging_metric.this["attempts"].filter
  }
  assert {
    condition = google_logging_metric.this["chat_ttfb"].value_extractor == "EXTRACT(jsonPayload.ttfb_ms)" && google_logging_metric.this["chat_ttfb"].metric_descriptor[0].value_type == "DISTRIBUTION" && (
    google_logging_metric.this["jobs_ended"].value_extractor == null && google_logging_metric.this["jobs_ended"].metric_descriptor[0].value_type == "INT64")
    error_message = "What has a value is a distribution, what is counted is a counter."
  }
  assert {
    condition = alltrue([for metric in google_logging_metric.this : jsonencode(sort(keys(metric.label_extractors == null ? {} : metric.label_extractors))) ==
    jsonencode(sort([for label in metric.metric_descriptor[0].labels : label.key]))])
    error_message = "A metric describes other labels than it extracts, which the API refuses."
  }

  # Every alert carries its page, with the commands for this project.
  assert {
    condition = alltrue([for page, alert in google_monitoring_alert_policy.this :
      startswith(alert.documentation[0].content, file("../docs/runbook/${page}.md")) &&
      strcontains(alert.documentation[0].content, "export PROJECT=lectern-test REGION=europe-west1 NAME=lectern") &&
    length(alert.documentation[0].content) < 8000])
    error_message = "An alert has not its page, or more than Cloud Monitoring takes."
  }
  assert {
    condition = alltrue(flatten([for alert in google_monitoring_alert_policy.this :
    [for condition in alert.conditions : condition.condition_prometheus_query_language[0].disable_metric_validation]]))
    error_message = "An alert asks whether its metric is known, which it is not when both are made."
  }

  assert {
    condition     = local.alert_conditions == length(google_monitoring_alert_policy.this) + length(google_monitoring_alert_policy.down)
    error_message = "${local.alert_conditions} alerts are counted as paid for, and others are made: ${jsonencode(keys(google_monitoring_alert_policy.this))}"
  }

  # What absence means: no series at all is no sweep.
  assert {
    condition     = strcontains(google_monitoring_alert_policy.this["dead-sweep"].conditions[0].condition_prometheus_query_language[0].query, "or vector(0)) < 0.5")
    error_message = "A sweep that never ran is dead, too."
  }

  # Answered by the address that people have; chat would be kept alive by being asked.
  assert {
    condition     = toset(keys(google_monitoring_uptime_check_config.this)) == toset(["auth", "courses", "web"])
    error_message = "Asked are ${jsonencode(keys(google_monitoring_uptime_check_config.this))}."
  }
  assert {
    condition     = alltrue([for check in google_monitoring_uptime_check_config.this : check.http_check[0].path == "/health" && length(check.selected_regions) == 3])
    error_message = "From outside it is /health, and three regions are the least."
  }
  assert {
    condition     = google_monitoring_uptime_check_config.this["web"].monitored_resource[0].labels.host == "lectern-web-123456789012.europe-west1.run.app"
    error_message = google_monitoring_uptime_check_config.this["web"].monitored_resource[0].labels.host
  }
  assert {
    condition     = length(google_monitoring_alert_policy.certificate) == 0
    error_message = "Cloud Run's own certificates are Google's matter."
  }

  # Burns: 14.4 times what may fail, in both windows, and at least three.
  assert {
    condition = local.burns.errors.fast == join(" and ", [
      "(1 - (sum(increase(run_googleapis_com:request_count{monitored_resource=\"cloud_run_revision\",service_name=~\"lectern-(auth|chat|courses|web)\",response_code_class!=\"5xx\"}[1h])) or vector(0)) / sum(increase(run_googleapis_com:request_count{monitored_resource=\"cloud_run_revision\",service_name=~\"lectern-(auth|chat|courses|web)\"}[1h]))) > 0.07200",
      "(1 - (sum(increase(run_googleapis_com:request_count{monitored_resource=\"cloud_run_revision\",service_name=~\"lectern-(auth|chat|courses|web)\",response_code_class!=\"5xx\"}[5m])) or vector(0)) / sum(increase(run_googleapis_com:request_count{monitored_resource=\"cloud_run_revision\",service_name=~\"lectern-(auth|chat|courses|web)\"}[5m]))) > 0.07200",
      "(sum(increase(run_googleapis_com:request_count{monitored_resource=\"cloud_run_revision\",service_name=~\"lectern-(auth|chat|courses|web)\"}[1h])) - (sum(increase(run_googleapis_com:request_count{monitored_resource=\"cloud_run_revision\",service_name=~\"lectern-(auth|chat|courses|web)\",response_code_class!=\"5xx\"}[1h])) or vector(0))) > 2.5",
    ])
    error_message = local.burns.errors.fast
  }
  assert {
    condition     = toset(keys(google_monitoring_slo.this)) == toset(["chat-broken", "chat-slow", "errors", "render-failing"])
    error_message = jsonencode(keys(google_monitoring_slo.this))
  }

  # Another Lectern's name may begin with this one's: its services and queues are not in the picture.
  assert {
    condition     = !strcontains(google_monitoring_dashboard.this.dashboard_json, "lectern-.+")
    error_message = "The dashboard shows all whose names begin with lectern-."
  }
  assert {
    condition     = strcontains(google_monitoring_alert_policy.this["database-disk"].conditions[0].condition_prometheus_query_language[0].query, "database_disk_bytes_used{${local.database_id}}) > ${85 * pow(1024, 3)}")
    error_message = "A disk may fill to 85 % of its limit."
  }

  # The dashboard has all metrics that nothing else asks.
  assert {
    condition     = alltrue([for metric in google_logging_metric.this : strcontains(google_monitoring_dashboard.this.dashboard_json, metric.name) || strcontains(jsonencode(local.alerts), metric.name)])
    error_message = "Nobody looks at ${jsonencode([for name, metric in google_logging_metric.this : name if !strcontains(google_monitoring_dashboard.this.dashboard_json, metric.name)])}."
  }
}

# However low a goal is: an alert that could never come is none.
run "every_burn_can_happen" {
  command = plan
  variables {
    objectives = { chat_first_word = 0.5, chat_answers = 0.5, renders = 0.5, requests = 0.5 }
  }

  assert {
    condition     = alltrue(flatten([for page, speeds in local.burns : [for speed, query in speeds : length(regexall("> 0[.][0-9]{5} and", query)) == 2]]))
    error_message = jsonencode(local.burns)
  }
}

run "two_share_a_project" {
  command = plan
  variables {
    name = "lectern-two"
  }

  assert {
    condition     = alltrue([for metric in google_logging_metric.this : startswith(metric.name, "lectern_two_") && strcontains(metric.filter, "\"lectern-two-")])
    error_message = "Two Lecterns have the same metrics."
  }
  assert {
    condition     = alltrue([for query in flatten([for alert in google_monitoring_alert_policy.this : [for condition in alert.conditions : condition.condition_prometheus_query_language[0].query]]) : !strcontains(query, "user_lectern_") || strcontains(query, "user_lectern_two_")])
    error_message = "An alert asks for another's metrics."
  }
}

run "people_are_told" {
  command = plan
  variables {
    alert_emails    = ["a@example.org", "b@example.org"]
    alerts_off      = ["pool-waits", "down"]
    billing_account = "012345-6789AB-CDEF01"
    monthly_budget  = 40
    public_url      = "https://learn.example.org"
    uptime_checks   = ["web", "chat"]
    database        = { disk_limit_gb = 0 }
  }

  assert {
    condition     = strcontains(google_monitoring_alert_policy.this["database-disk"].conditions[0].condition_prometheus_query_language[0].query, "database_disk_utilization{${local.database_id}}) > 0.95")
    error_message = "A disk without a limit is full from its first byte on: ${google_monitoring_alert_policy.this["database-disk"].conditions[0].condition_prometheus_query_language[0].query}"
  }
  assert {
    condition     = local.alert_conditions == length(google_monitoring_alert_policy.this) + length(google_monitoring_alert_policy.certificate)
    error_message = "${local.alert_conditions} alerts are counted as paid for."
  }

  assert {
    condition     = length(google_monitoring_notification_channel.email) == 2 && alltrue([for alert in google_monitoring_alert_policy.this : length(alert.notification_channels) == 2])
    error_message = "Not everybody is told."
  }
  assert {
    condition     = !contains(keys(google_monitoring_alert_policy.this), "pool-waits") && length(google_monitoring_alert_policy.down) == 0
    error_message = "An alert that is off is there."
  }
  assert {
    condition     = google_monitoring_uptime_check_config.this["web"].monitored_resource[0].labels.host == "learn.example.org" && contains(keys(google_monitoring_uptime_check_config.this), "chat")
    error_message = "People's own address is asked, and chat if one wants it."
  }
  assert {
    condition     = length(google_monitoring_alert_policy.certificate) == 1 && strcontains(google_monitoring_alert_policy.certificate[0].documentation[0].content, file("../docs/runbook/certificate.md"))
    error_message = "The certificate of an address of one's own is watched."
  }
  assert {
    condition = one(google_billing_budget.this[0].budget_filter[0].projects) == "projects/123456789012" && google_billing_budget.this[0].amount[0].specified_amount[0].units == "40" && (
      [for rule in google_billing_budget.this[0].threshold_rules : "${rule.threshold_percent} ${rule.spend_basis}"] ==
    ["0.5 CURRENT_SPEND", "0.9 CURRENT_SPEND", "1 CURRENT_SPEND", "1 FORECASTED_SPEND"])
    error_message = jsonencode(google_billing_budget.this[0])
  }
}

run "wrong_settings_are_refused" {
  command = plan
  variables {
    alert_emails    = ["oncall"]
    alerts_off      = ["no-such-alert"]
    billing_account = "mine"
    monthly_budget  = 0
    objectives      = { requests = 1, chat_first_word_ms = 5 }
    uptime_checks   = ["render"]
  }
  expect_failures = [var.alert_emails, var.alerts_off, var.billing_account, var.monthly_budget, var.objectives, var.uptime_checks]
}
