# Whether people can reach what is public, asked from three continents. A million checks a
# month are free for a project; these are 26,000 for each function.
resource "google_monitoring_uptime_check_config" "this" {
  for_each = local.checked

  display_name     = "${var.name}-${each.key}"
  period           = "300s"
  timeout          = "10s"                                       # a first instance must start
  selected_regions = ["ASIA_PACIFIC", "EUROPE", "SOUTH_AMERICA"] # three are the least

  # What stands before Cloud Run answers /healthz itself.
  http_check {
    path           = "/health"
    port           = 443
    use_ssl        = true
    validate_ssl   = true
    request_method = "GET"
    accepted_response_status_codes {
      status_class = "STATUS_CLASS_2XX"
    }
  }

  monitored_resource {
    type   = "uptime_url"
    labels = { project_id = var.project, host = trimprefix(each.key == "web" ? local.public_url : local.urls[each.key], "https://") }
  }

  depends_on = [google_project_service.api]
}

locals {
  checked = setintersection(var.uptime_checks, keys(local.images))
}

# Two of three places do not reach it: one that does not has troubles of its own.
resource "google_monitoring_alert_policy" "down" {
  count = length(local.checked) > 0 && !contains(var.alerts_off, "down") ? 1 : 0

  display_name          = "${var.name}: people do not reach it"
  combiner              = "OR"
  severity              = "CRITICAL"
  notification_channels = [for channel in google_monitoring_notification_channel.email : channel.name]

  conditions {
    display_name = "a public function does not answer"
    condition_threshold {
      filter          = "metric.type=\"monitoring.googleapis.com/uptime_check/check_passed\" AND resource.type=\"uptime_url\" AND metric.labels.check_id=one_of(${join(",", [for check in google_monitoring_uptime_check_config.this : "\"${check.uptime_check_id}\""])})"
      comparison      = "COMPARISON_GT"
      threshold_value = 1
      duration        = "300s"
      aggregations {
        alignment_period     = "1200s"
        per_series_aligner   = "ALIGN_NEXT_OLDER"
        cross_series_reducer = "REDUCE_COUNT_FALSE"
        group_by_fields      = ["resource.label.host"] # each function by itself
      }
      trigger {
        count = 1
      }
    }
  }

  documentation {
    subject   = "[${var.name}] people do not reach it"
    mime_type = "text/markdown"
    content   = local.pages["down"]
  }
}

# Google renews run.app's certificates; of an address of one's own somebody may have to think.
resource "google_monitoring_alert_policy" "certificate" {
  count = var.public_url != "" && contains(local.checked, "web") && !contains(var.alerts_off, "certificate") ? 1 : 0

  display_name          = "${var.name}: the certificate runs out"
  combiner              = "OR"
  severity              = "WARNING"
  notification_channels = [for channel in google_monitoring_notification_channel.email : channel.name]

  conditions {
    display_name = "less than two weeks are left"
    condition_threshold {
      filter          = "metric.type=\"monitoring.googleapis.com/uptime_check/time_until_ssl_cert_expires\" AND resource.type=\"uptime_url\" AND metric.labels.check_id=\"${google_monitoring_uptime_check_config.this["web"].uptime_check_id}\""
      comparison      = "COMPARISON_LT"
      threshold_value = 14 # days
      duration        = "600s"
      aggregations {
        alignment_period     = "1200s"
        per_series_aligner   = "ALIGN_NEXT_OLDER"
        cross_series_reducer = "REDUCE_MIN"
      }
    }
  }

  documentation {
    subject   = "[${var.name}] the certificate runs out"
    mime_type = "text/markdown"
    content   = local.pages["certificate"]
  }
}
