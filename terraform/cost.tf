# What a month costs, from what a course uses (bench/course.json, measured by `make bench`),
# what people do (var.cost_assumptions) and what it is sold for (prices.json, and
# internal/budget/prices.json for models). Free limits hold for a billing account: what else
# is charged to it uses them up, too. Prices are those of regions of tier 1.
locals {
  prices   = jsondecode(file("${path.module}/prices.json"))
  measured = jsondecode(file("${path.module}/../bench/course.json"))
  assumed  = var.cost_assumptions
  month    = { hours = 730, days = 30 }
  gib      = pow(1024, 3)
  checks   = length(var.uptime_checks) * 3 * local.month.hours * 12 # every five minutes, from three continents

  # Those who write, answer and speak, in US dollars for a million units.
  model_prices = merge(jsondecode(file("${path.module}/../internal/budget/prices.json")), var.budget.prices)
  writer       = coalesce(var.model.name, "gpt-4o-mini")
  speaker      = coalesce(var.model.speech, "espeak-ng")
  writer_price = local.model_prices[contains(keys(local.model_prices), local.writer) ? local.writer : replace(local.writer, local.dated, "")]
  voice_price  = local.model_prices[contains(keys(local.model_prices), local.speaker) ? local.speaker : replace(local.speaker, local.dated, "")]

  # Alerts are made with the functions that they watch: here they are counted as if all were
  # there. Each is one condition, however many queries it has.
  alert_conditions = length(setsubtract(concat(
    keys(local.burn_alerts), keys(local.state_alerts),
    length(var.uptime_checks) > 0 ? ["down"] : [],
    var.public_url != "" && contains(var.uptime_checks, "web") ? ["certificate"] : [],
  ), var.alerts_off))

  # The tutor's instances that never end: those that are kept warm, or the one that is asked
  # from outside whether it is there.
  kept = max(lookup(var.warm, "chat", 0), contains(var.uptime_checks, "chat") ? 1 : 0)

  # One course, made: processor seconds that are billed while a request is served.
  made = {
    # Film: 2 vCPUs, of which encoding keeps 1.6 busy (bench/baseline.txt: 7.6 CPU-seconds in 4.7), and 2 s to start for each lesson.
    render   = local.measured.cpu_seconds_filming * local.assumed.slower / 1.6 + 2 * local.measured.lessons
    ingest   = local.measured.cpu_seconds_reading * local.assumed.slower + 1
    generate = local.measured.cpu_seconds_writing * local.assumed.slower + local.assumed.again * local.measured.tokens_out / local.assumed.token_rate + local.measured.steps
    finalize = 0.1 * local.measured.objects # each object is an event, and 100 ms the least that is billed
    followed = 60 * local.assumed.author_minutes
    model    = local.assumed.again * (local.measured.tokens_in * local.writer_price.input + local.measured.tokens_out * local.writer_price.output) / 1000000
    speech   = (local.measured.narration_chars * local.voice_price.input + 60 * local.measured.film_minutes * try(coalesce(local.voice_price.output), 0)) / 1000000
  }

  # What happens in a month, for each number of courses.
  months = { for scale in local.assumed.scales : tostring(scale.courses) => {
    scale     = scale
    made      = scale.courses * local.assumed.written
    learners  = scale.courses * local.assumed.learners
    lessons   = scale.courses * local.assumed.learners * local.assumed.watched * local.measured.lessons
    turns     = scale.courses * local.assumed.learners * local.assumed.turns
    memory    = try(tonumber(regex("-([0-9]+)$", scale.tier)[0]) / 1024, 0) # GB of the database
    cpus      = try(tonumber(regex("custom-([0-9]+)-", scale.tier)[0]), 0)
    zones     = scale.high_availability ? 2 : 1
    day       = 3600 * local.assumed.hours_a_day * local.month.days # seconds in which learners are there
    turn      = local.assumed.answer_tokens / local.assumed.token_rate + 1
    film_gib  = scale.courses * local.assumed.learners * local.assumed.watched * local.measured.film_bytes / local.gib
    every_gib = scale.courses * (local.measured.film_bytes + local.measured.source_bytes) / local.gib
    base = (
      local.checks # requests while nobody learns
      + local.month.hours * 60 / var.sweep_minutes
    )
  } }

  months_more = { for courses, m in local.months : courses => merge(m, {
    requests = m.base + m.lessons * local.assumed.requests_a_lesson + m.made * (local.measured.objects + 2 * local.measured.steps) + m.turns * 2

    # A function with its processor always there is billed from its start until about 15
    # minutes after its last request. Turns that come at random keep an instance for
    # 1 - e^-(turns that such a time has) of the day.
    chat = m.day * (1 - pow(2.718281828, -m.turns * (m.turn + 900) / m.day))

    disk_gb = max(10, ceil(1.3 * (m.scale.courses * local.measured.database_bytes + 12 * m.turns * local.assumed.turn_database_bytes) / local.gib)) # a year's turns
    sent    = m.film_gib + m.lessons * local.assumed.page_bytes / local.gib
  }) }

  # How much of what is sold that takes. The keys are those of prices.json.
  quantities = { for courses, m in local.months_more : courses => {
    run_vcpu = (
      0.1 * (m.base + m.lessons * local.assumed.requests_a_lesson)
      + local.month.hours * 60 / var.sweep_minutes # a sweep takes about a second
      + m.made * (2 * local.made.render + local.made.ingest + local.made.generate + local.made.finalize + 2 * local.made.followed)
    )
    run_gib = (
      0.05 * (m.base + m.lessons * local.assumed.requests_a_lesson)
      + 0.5 * local.month.hours * 60 / var.sweep_minutes
      + m.made * (4 * local.made.render + local.made.ingest + 0.5 * local.made.generate + 0.5 * local.made.finalize + local.made.followed)
      + 3600 * local.month.hours * 0.5 * sum([for f, n in merge({ web = 0 }, var.warm) : n if f != "chat"])
    )
    run_request     = m.requests
    run_always_vcpu = max(m.chat, 3600 * local.month.hours * local.kept)
    run_always_gib  = max(m.chat, 3600 * local.month.hours * local.kept)
    run_idle_vcpu   = 3600 * local.month.hours * sum([for f, n in merge({ web = 0 }, var.warm) : n if f != "chat"])

    sql_f1_micro = m.scale.tier == "db-f1-micro" ? local.month.hours * m.zones : 0
    sql_g1_small = m.scale.tier == "db-g1-small" ? local.month.hours * m.zones : 0
    sql_vcpu     = m.cpus * local.month.hours * m.zones
    sql_gib      = m.memory * local.month.hours * m.zones
    sql_ssd      = m.disk_gb * m.zones
    sql_backup   = 2 * m.scale.courses * local.measured.database_bytes / local.gib # daily ones are differences

    storage         = m.every_gib + m.made * local.measured.segment_bytes / local.gib * (30 + var.deleted_days) / 30 # segments are kept 30 days, and some as deleted
    storage_class_a = m.made * 2 * local.measured.objects
    storage_class_b = m.made * 4 * local.measured.objects + 10 * m.lessons

    # Films come from the bucket, by signed addresses; a load balancer stands before pages.
    egress         = min(1024, m.sent)
    egress_over_1  = max(0, min(10240, m.sent) - 1024)
    egress_over_10 = max(0, m.sent - 10240)
    lb_hour        = m.scale.load_balancer ? local.month.hours : 0
    lb_gib         = m.scale.load_balancer ? m.sent - m.film_gib : 0

    live_write  = m.made * local.measured.live_writes
    live_read   = m.made * 2 * local.measured.live_writes
    live_expiry = m.made * local.measured.steps
    task        = m.made * 2.2 * local.measured.steps # enqueued and sent; one in ten twice
    event_gib   = m.made * local.measured.objects * 1024 / local.gib
    schedule    = 1

    secret          = local.assumed.secrets
    secret_access   = 4 * 24 * local.month.days * length(local.functions) / 4 # at each start
    image_gb        = local.assumed.image_gb
    build_minute    = local.assumed.releases * local.assumed.minutes_a_release
    log_gib         = 2048 * m.requests / local.gib # Cloud Run's line and ours
    metric_mib      = local.assumed.metric_series * local.month.hours * 60 * 80 / pow(1024, 2)
    alert_condition = local.alert_conditions
    alert_series    = local.alert_conditions * local.month.hours * 60 # each looks once a minute, at one sum
    uptime_check    = local.checks
    span            = var.traces_ratio * local.assumed.spans_a_request * min(m.requests, m.day / 10 * 4) # of each instance one request in ten seconds is traced; about four are at work
  } }

  # Regions whose price list has a free limit for storage, too.
  free_storage = contains(["us-central1", "us-east1", "us-west1"], var.region)

  charges = { for courses, q in local.quantities : courses => {
    for item, n in q : item => local.prices[item].usd * max(0, n - (can(local.prices[item].free_in) && !local.free_storage ? 0 : local.prices[item].free))
  } }

  rows = [
    { title = "database, its disk and its backups", items = ["sql_"] },
    { title = "functions: serving, writing, filming, tutoring", items = ["run_"] },
    { title = "films and documents, kept", items = ["storage"] },
    { title = "films and pages, sent to learners", items = ["egress", "lb_"] },
    { title = "logs, traces, metrics, alerts, checks", items = ["log_", "metric_", "alert_", "uptime_", "span"] },
    { title = "queues, events, progress, secrets, images, builds", items = ["live_", "task", "event_", "schedule", "secret", "image_", "build_"] },
  ]

  bills = { for courses, c in local.charges : courses => merge(
    { for row in local.rows : row.title => sum([for item, usd in c : usd if anytrue([for prefix in row.items : startswith(item, prefix)])]) },
    {
      "the model that writes and answers" = local.months[courses].made * local.made.model + local.months[courses].turns * local.turn_usd
      "the voice"                         = local.months[courses].made * local.made.speech
    },
  ) }
  turn_usd = (local.measured.turn_tokens_in * local.writer_price.input + local.assumed.answer_tokens * local.writer_price.output) / 1000000

  titles = concat(local.rows[*].title, ["the model that writes and answers", "the voice"])
  totals = { for courses, bill in local.bills : courses => sum(values(bill)) }

  # Two digits say what is known; more would only look so.
  rounded = { for courses, bill in merge(local.bills, { for courses, bill in local.bills : courses => merge(bill, { total = local.totals[courses] }) }) : courses => {
    for title, usd in bill : title => (
      usd < 0.005 ? "0" : usd < 1 ? format("%.2f", usd) : usd < 10 ? format("%.1f", usd) : usd < 100 ? format("%.0f", usd) : format("%d", 10 * floor(usd / 10 + 0.5))
  ) } }

  columns = [for scale in local.assumed.scales : tostring(scale.courses)]
  cost_table = join("\n", concat(
    [
      "| US dollars a month | ${join(" | ", [for scale in local.assumed.scales : "${replace(tostring(scale.courses), "/([0-9])([0-9]{3})$/", "$1,$2")} courses"])} |",
      "|---|${join("|", [for scale in local.assumed.scales : "---:"])}|",
    ],
    [for title in local.titles : "| ${title} | ${join(" | ", [for courses in local.columns : local.rounded[courses][title]])} |"],
    ["| **together** | ${join(" | ", [for courses in local.columns : "**${local.rounded[courses].total}**"])} |"],
  ))

  # Beyond every free limit.
  course_usd = {
    functions = (
      (2 * local.made.render + local.made.ingest + local.made.generate + local.made.finalize + 2 * local.made.followed) * local.prices.run_vcpu.usd
      + (4 * local.made.render + local.made.ingest + 0.5 * local.made.generate + 0.5 * local.made.finalize + local.made.followed) * local.prices.run_gib.usd
      + (local.measured.objects + 2 * local.measured.steps) * local.prices.run_request.usd
    )
    model  = local.made.model
    speech = local.made.speech
  }
  film_minute_usd = local.made.render * (2 * local.prices.run_vcpu.usd + 4 * local.prices.run_gib.usd) / local.measured.film_minutes
  hour_usd        = 60 / local.measured.film_minutes * local.measured.film_bytes / local.gib * local.prices.egress.usd
}

output "cost" {
  description = "What a month costs in US dollars: a table over numbers of courses (terraform output -json cost | jq -r .table), and what one course, one film minute, one watched hour and one question come to beyond the free limits."
  value = {
    table           = local.cost_table
    together        = { for courses, usd in local.totals : courses => floor(100 * usd + 0.5) / 100 }
    course          = { for part, usd in merge(local.course_usd, { together = sum(values(local.course_usd)) }) : part => floor(1000 * usd + 0.5) / 1000 }
    film_minute     = floor(100000 * local.film_minute_usd + 0.5) / 100000
    watched_hour    = floor(1000 * local.hour_usd + 0.5) / 1000
    question        = floor(100000 * local.turn_usd + 0.5) / 100000
    oldest_price    = min([for price in values(local.prices) : tonumber(replace(price.read, "-", ""))]...)
    prices_to_check = sort([for item, price in local.prices : item if strcontains(price.source, "to be checked")])
  }
}
