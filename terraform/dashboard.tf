# One page that says how Lectern is. It costs nothing.
resource "google_monitoring_dashboard" "this" {
  dashboard_json = jsonencode({
    displayName = "Lectern (${var.name})"
    labels      = { lectern = var.name }
    mosaicLayout = {
      columns = 48
      tiles = [for i, chart in local.charts : {
        xPos = 16 * (i % 3), yPos = 14 * floor(i / 3), width = 16, height = 14
        widget = {
          title = chart.title
          xyChart = {
            # Many lines name themselves by their labels.
            dataSets = [for legend, query in chart.queries : merge(
              { plotType = "LINE", targetAxis = "Y1", timeSeriesQuery = { prometheusQuery = query, unitOverride = chart.unit } },
              startswith(legend, "by ") ? {} : { legendTemplate = legend },
            )]
            yAxis = { label = "", scale = "LINEAR" }
          }
        }
      }]
    }
  })

  depends_on = [google_project_service.api]
}

locals {
  every_service = "service_name=~\"${var.name}-(${join("|", sort(local.functions))})\"" # another Lectern's name may begin with this one's

  charts = [
    { title = "Requests a second, by function", unit = "1/s", queries = {
      "by service_name" = "sum by (service_name) (rate(run_googleapis_com:request_count{${local.run},${local.every_service}}[5m]))"
    } },
    { title = "Errors of ours a second, by function", unit = "1/s", queries = {
      "by service_name" = "sum by (service_name) (rate(run_googleapis_com:request_count{${local.run},${local.every_service},response_code_class=\"5xx\"}[5m]))"
    } },
    { title = "Slowest of twenty requests, by function", unit = "ms", queries = {
      "by service_name" = "histogram_quantile(0.95, sum by (service_name, le) (rate(run_googleapis_com:request_latencies_bucket{${local.run},${local.every_service}}[5m])))"
    } },

    { title = "The tutor's first word", unit = "ms", queries = { for name, q in { half = 0.5, "19 of 20" = 0.95, "99 of 100" = 0.99 } :
      name => "histogram_quantile(${q}, sum by (le) (rate(${local.series.chat_ttfb}_bucket{${local.run}}[15m])))"
    } },
    { title = "The tutor's answers, by how they ended, in an hour", unit = "1", queries = {
      "by state" = "sum by (state) (increase(${local.series.chat_turns}{${local.run}}[1h]))"
    } },
    { title = "The tutor's tokens in an hour", unit = "1", queries = {
      in  = "sum(increase(${local.series.chat_input_tokens}_sum{${local.run}}[1h]))"
      out = "sum(increase(${local.series.chat_output_tokens}_sum{${local.run}}[1h]))"
    } },

    { title = "What models cost in an hour, in millionths of a US dollar", unit = "1", queries = {
      tutor = "sum(increase(${local.series.chat_cost}_sum{${local.run}}[1h]))"
      work  = "sum(increase(${local.series.attempt_cost}_sum{${local.run}}[1h]))"
    } },
    { title = "Agents' tokens in an hour", unit = "1", queries = {
      in  = "sum(increase(${local.series.attempt_input_tokens}_sum{${local.run}}[1h]))"
      out = "sum(increase(${local.series.attempt_output_tokens}_sum{${local.run}}[1h]))"
    } },
    { title = "What a job came to, in millionths of a US dollar", unit = "1", queries = {
      "by target" = "sum by (target) (increase(${local.series.job_cost}_sum{${local.run}}[6h])) / sum by (target) (increase(${local.series.job_cost}_count{${local.run}}[6h]))"
    } },

    { title = "Jobs by kind and end, in six hours", unit = "1", queries = {
      "by target and state" = "sum by (target, state) (increase(${local.series.jobs_ended}{${local.run}}[6h]))"
    } },
    { title = "Attempts by what became of them, in an hour", unit = "1", queries = {
      "by target and outcome" = "sum by (target, outcome) (increase(${local.series.attempts}{${local.run}}[1h]))"
    } },
    { title = "Slowest of twenty attempts", unit = "ms", queries = {
      "by target" = "histogram_quantile(0.95, sum by (target, le) (rate(${local.series.attempt_duration}_bucket{${local.run}}[1h])))"
    } },

    { title = "How long a step waited for a worker, 19 of 20", unit = "ms", queries = {
      "by target" = "histogram_quantile(0.95, sum by (target, le) (rate(${local.series.queue_age}_bucket{${local.run}}[1h])))"
    } },
    { title = "Tasks in queues", unit = "1", queries = {
      "by queue_id"               = "max by (queue_id) (cloudtasks_googleapis_com:queue_depth{monitored_resource=\"cloud_tasks_queue\",queue_id=~\"${local.queue_prefix}(${join("|", sort(keys(google_cloud_tasks_queue.this)))})\"})"
      "steps that wait"           = "sum(increase(${local.series.queue_steps}_sum{${local.run}}[30m])) / sum(increase(${local.series.queue_steps}_count{${local.run}}[30m]))"
      "jobs that wait for people" = "sum(increase(${local.series.jobs_waiting}_sum{${local.run}}[30m])) / sum(increase(${local.series.jobs_waiting}_count{${local.run}}[30m]))"
    } },
    { title = "From order to success, half of all jobs", unit = "s", queries = {
      "by target"             = "histogram_quantile(0.5, sum by (target, le) (rate(${local.series.job_seconds}_bucket{${local.run}}[6h])))"
      "by target, only waits" = "histogram_quantile(0.5, sum by (target, le) (rate(${local.series.job_waited}_bucket{${local.run}}[6h])))"
    } },

    { title = "Seconds of film made in a second", unit = "1", queries = {
      half          = "histogram_quantile(0.5, sum by (le) (rate(${local.series.render_realtime_factor}_bucket{${local.run}}[6h])))"
      "1 of 20"     = "histogram_quantile(0.05, sum by (le) (rate(${local.series.render_realtime_factor}_bucket{${local.run}}[6h])))"
      "a processor" = "sum(increase(${local.series.render_lesson_seconds}_sum{${local.run}}[6h])) / sum(increase(${local.series.render_cpu_seconds}_sum{${local.run}}[6h]))"
    } },
    { title = "Objects that were heard of, in an hour", unit = "1", queries = {
      "by outcome"         = "sum by (outcome) (increase(${local.series.objects}{${local.run}}[1h]))"
      "19 of 20 within ms" = "histogram_quantile(0.95, sum by (le) (rate(${local.series.object_lag}_bucket{${local.run}}[1h])))"
    } },
    { title = "Sweeps in an hour, and what they found", unit = "1", queries = {
      "went through"          = "sum(increase(${local.series.sweeps}{${local.run}}[1h]))"
      "found stuck jobs"      = "sum(increase(${local.series.sweeps_stuck}{${local.run}}[1h]))"
      "tasks sent again"      = "sum(increase(${local.series.swept_lost}_sum{${local.run}}[1h]))"
      "oldest step, seconds"  = "sum(increase(${local.series.queue_oldest}_sum{${local.run}}[1h])) / sum(increase(${local.series.queue_oldest}_count{${local.run}}[1h]))"
      "found budgets used up" = "sum(increase(${local.series.sweeps_budget}{${local.run}}[1h]))"
      "events that were lost" = "sum(increase(${local.series.sweeps_unheard}{${local.run}}[1h]))"
    } },

    { title = "Waits for a connection, 19 of 20", unit = "ms", queries = {
      "by service_name" = "histogram_quantile(0.95, sum by (service_name, le) (rate(${local.series.database_wait}_bucket{${local.run}}[15m])))"
    } },
    { title = "The database: processor and disk", unit = "1", queries = {
      processor = "max(cloudsql_googleapis_com:database_cpu_utilization{${local.database_id}})"
      memory    = "max(cloudsql_googleapis_com:database_memory_utilization{${local.database_id}})"
      disk      = "max(cloudsql_googleapis_com:database_disk_utilization{${local.database_id}})"
    } },
    { title = "The database: connections", unit = "1", queries = {
      open   = "sum(cloudsql_googleapis_com:database_postgresql_num_backends{${local.database_id}})"
      "most" = "vector(${var.database.max_connections})"
    } },

    { title = "Instances", unit = "1", queries = {
      "by service_name and state" = "sum by (service_name, state) (run_googleapis_com:container_instance_count{${local.run},${local.every_service}})"
    } },
    { title = "Memory of the fullest instances", unit = "1", queries = {
      "by service_name" = "histogram_quantile(0.99, sum by (service_name, le) (increase(run_googleapis_com:container_memory_utilizations_bucket{${local.run},${local.every_service}}[10m])))"
    } },
    { title = "Lines of the log at ERROR, in an hour", unit = "1", queries = {
      "by service_name" = "sum by (service_name) (increase(logging_googleapis_com:log_entry_count{${local.run},${local.every_service},severity=\"ERROR\"}[1h]))"
    } },
  ]
}
