# Who is told of what. Each alert has a page in docs/runbook by its name, and carries it: what
# it means, what to look at, what to do. One of a function that is not there yet is not made,
# so that an empty platform wakes nobody.
#
# The queries do not ask whether their metrics exist: one that was made a moment ago is unknown
# for some minutes, and the first apply would fail.
# https://github.com/hashicorp/terraform-provider-google/issues/11102
#
# What it costs: 0.10 US dollars a month for each of sixteen conditions (terraform/prices.json),
# and 0.35 for a million series that they return: each sums up to one, once a minute, 0.015.
resource "google_monitoring_alert_policy" "this" {
  for_each = local.alerts

  display_name          = "${var.name}: ${each.value.title}"
  combiner              = "OR"
  severity              = each.value.severity
  notification_channels = [for channel in google_monitoring_notification_channel.email : channel.name]

  # One, since each is paid for.
  conditions {
    display_name = each.value.title
    condition_prometheus_query_language {
      query                     = join(" or ", [for query in each.value.queries : "(${query})"])
      duration                  = each.value.lasting
      evaluation_interval       = "60s"
      disable_metric_validation = true
    }
  }

  alert_strategy {
    auto_close = "86400s"
  }

  documentation {
    subject   = "[${var.name}] ${each.value.title}"
    mime_type = "text/markdown"
    content   = local.pages[each.key]
  }

  depends_on = [google_project_service.api]
}

resource "google_monitoring_notification_channel" "email" {
  for_each = var.alert_emails

  display_name = each.key
  type         = "email"
  labels       = { email_address = each.key }
  depends_on   = [google_project_service.api]
}

locals {
  alerts = { for page, alert in merge(local.burn_alerts, local.state_alerts) : page => alert
  if length(setintersection(alert.functions, keys(local.images))) > 0 && !contains(var.alerts_off, page) }

  burn_alerts = { for page, goal in local.goals : page => {
    title     = "too many failures of ${goal.title}"
    severity  = "CRITICAL"
    functions = goal.functions
    queries   = values(local.burns[page])
    lasting   = "0s" # the windows are patient enough
  } }

  # The commands of a page work as they stand in this project.
  pages = { for page in concat(keys(merge(local.burn_alerts, local.state_alerts)), ["down", "certificate"]) : page => join("\n", [
    file("${path.module}/../docs/runbook/${page}.md"),
    "---",
    "For the commands: `export PROJECT=${var.project} REGION=${var.region} NAME=${var.name}`. The page is docs/runbook/${page}.md.",
  ]) }

  database_id = "monitored_resource=\"cloudsql_database\",database_id=\"${var.project}:${google_sql_database_instance.this.name}\""

  # Two sweeps may be missed: one is lost with a release, one with a slow database.
  quiet_minutes = max(3 * var.sweep_minutes, 15)

  state_alerts = {
    dead-sweep = {
      title     = "no sweep goes through"
      severity  = "CRITICAL"
      functions = ["sweep"]
      # Absence counts, too: of a sweep that is deployed and has never run there is no series.
      queries = ["(sum(increase(${local.series.sweeps}{${local.run}}[${local.quiet_minutes}m])) or vector(0)) < 0.5"]
      lasting = "${60 * local.quiet_minutes}s" # after the first release nothing has been swept, either
    }
    stuck-jobs = {
      title     = "jobs that nobody works on"
      severity  = "CRITICAL"
      functions = ["sweep"]
      queries   = ["sum(increase(${local.series.sweeps_stuck}{${local.run}}[${2 * local.quiet_minutes}m])) > 1.5"]
      lasting   = "0s"
    }
    queue-late = {
      title     = "tasks wait in a queue"
      severity  = "WARNING"
      functions = ["generate", "ingest", "render"]
      queries = [
        "max(cloudtasks_googleapis_com:queue_depth{monitored_resource=\"cloud_tasks_queue\",queue_id=~\"${local.queue_prefix}(generate|ingest|render)\"}) > 100",
        "sum(increase(${local.series.queue_oldest}_sum{${local.run}}[30m])) / sum(increase(${local.series.queue_oldest}_count{${local.run}}[30m])) > 1800",
      ]
      lasting = "1800s"
    }
    events-lost = {
      title     = "objects whose event does not come"
      severity  = "WARNING"
      functions = ["finalize"]
      queries   = ["sum(increase(${local.series.sweeps_unheard}{${local.run}}[3h])) > 2.5"]
      lasting   = "0s"
    }
    budget-used-up = {
      title     = "an organization has used up its budget"
      severity  = "WARNING"
      functions = ["sweep"]
      queries   = ["sum(increase(${local.series.sweeps_budget}{${local.run}}[${2 * local.quiet_minutes}m])) > 0.5"]
      lasting   = "0s"
    }
    pool-waits = {
      title     = "requests wait for a connection"
      severity  = "WARNING"
      functions = setsubtract(local.functions, ["web"])
      # More than twenty in a quarter of an hour, for half a second on the whole.
      queries = [join(" and ", [
        "sum(increase(${local.series.database_wait}_count{${local.run}}[15m])) > 20",
        "sum(increase(${local.series.database_wait}_sum{${local.run}}[15m])) / sum(increase(${local.series.database_wait}_count{${local.run}}[15m])) > 500",
      ])]
      lasting = "600s"
    }
    database-disk = {
      title     = "the database's disk fills"
      severity  = "CRITICAL"
      functions = local.functions
      # It grows by itself, up to its limit. Without one it is never as full as this, unless it does not grow.
      queries = [var.database.disk_limit_gb == 0 ?
        "max(cloudsql_googleapis_com:database_disk_utilization{${local.database_id}}) > 0.95" :
        "max(cloudsql_googleapis_com:database_disk_bytes_used{${local.database_id}}) > ${floor(0.85 * var.database.disk_limit_gb * pow(1024, 3))}"
      ]
      lasting = "900s"
    }
    database-cpu = {
      title     = "the database's processor is busy"
      severity  = "WARNING"
      functions = local.functions
      queries   = ["max(cloudsql_googleapis_com:database_cpu_utilization{${local.database_id}}) > 0.9"]
      lasting   = "1800s"
    }
    database-connections = {
      title     = "the database runs out of connections"
      severity  = "CRITICAL"
      functions = local.functions
      queries   = ["sum(cloudsql_googleapis_com:database_postgresql_num_backends{${local.database_id}}) > ${floor(0.9 * var.database.max_connections)}"]
      lasting   = "300s"
    }
    memory-full = {
      title     = "an instance's memory fills"
      severity  = "WARNING"
      functions = local.functions
      queries   = ["histogram_quantile(0.99, sum by (le) (increase(run_googleapis_com:container_memory_utilizations_bucket{${local.run},service_name=~\"${var.name}-(${join("|", sort(local.functions))})\"}[10m]))) > 0.95"]
      lasting   = "600s"
    }
  }
}
