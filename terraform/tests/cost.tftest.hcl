# What a month costs: the README says the same, and each part of the model does what it should.
mock_provider "google" {
  source = "./tests/google"
}

variables {
  project = "lectern-test"
}

run "with_defaults" {
  command = plan

  # The README has the table, and the sentences below it.
  assert {
    condition     = strcontains(file("../README.md"), output.cost.table)
    error_message = "README.md, What it costs, has another table than this:\n${output.cost.table}"
  }
  assert {
    condition = alltrue([for said in [
      "A course costs ${format("$%.2f", output.cost.course.together)} to make",
      "${format("$%.2f", output.cost.course.model)} of it the model's",
      "${format("$%.2f", 60 * output.cost.film_minute)} an hour of film",
      "An hour of watching costs ${format("$%.3f", output.cost.watched_hour)}",
    ] : strcontains(file("../README.md"), said)])
    error_message = "README.md, What it costs, has other figures for a course or an hour than: ${jsonencode(output.cost)}"
  }

  # With nobody there, a database and who watches over it are all that is paid for.
  assert {
    condition     = local.charges["0"].sql_f1_micro > 7 && local.charges["0"].sql_f1_micro < 8
    error_message = "The smallest database costs 7.67: ${local.charges["0"].sql_f1_micro}."
  }
  assert {
    condition = alltrue([for item, usd in local.charges["0"] :
    usd == 0 || startswith(item, "sql_") || startswith(item, "alert_") || item == "image_gb"])
    error_message = "Something is not within its free limit: ${jsonencode({ for item, usd in local.charges["0"] : item => usd if usd > 0 })}."
  }

  # Both ways: what is used has a price, and what has a price is used.
  assert {
    condition     = alltrue([for q in values(local.quantities) : length(setsubtract(keys(local.prices), keys(q))) == 0])
    error_message = "Something in prices.json is no part of what a month costs."
  }
  assert {
    condition     = alltrue([for c in values(local.charges) : length([for item in keys(c) : item if length([for row in local.rows : row if anytrue([for prefix in row.items : startswith(item, prefix)])]) != 1]) == 0])
    error_message = "Something is in no row of the table, or in two."
  }
  assert {
    condition     = alltrue([for courses, c in local.charges : abs(sum(values(c)) + local.bills[courses]["the model that writes and answers"] + local.bills[courses]["the voice"] - local.totals[courses]) < 0.000001])
    error_message = "The rows do not add up to what is charged."
  }
  assert {
    condition     = alltrue([for price in values(local.prices) : price.usd > 0 && price.free >= 0 && startswith(price.source, "https://") && can(formatdate("YYYY-MM-DD", "${price.read}T00:00:00Z"))])
    error_message = "A price has usd, free, a source and the day on which it was read."
  }

  # What is free is free up to its limit, and paid for beyond it. Cloud Storage gives nothing
  # away but in three regions.
  assert {
    condition     = abs(local.charges["10000"].run_vcpu - (local.quantities["10000"].run_vcpu - 180000) * 0.000024) < 0.01
    error_message = "180,000 vCPU-seconds are free: ${local.charges["10000"].run_vcpu}."
  }
  assert {
    condition     = local.quantities["100"].build_minute == 240 && local.charges["100"].build_minute == 0
    error_message = "2,500 minutes of builds are free."
  }
  assert {
    condition     = abs(local.charges["100"].storage - 0.02 * local.quantities["100"].storage) < 0.001
    error_message = "Nothing is free in europe-west1."
  }
}

run "elsewhere_and_otherwise" {
  command = plan
  variables {
    region           = "us-central1"
    uptime_checks    = ["chat"]
    cost_assumptions = { scales = [{ courses = 0, load_balancer = true }, { courses = 10 }, { courses = 100000 }] }
  }

  assert {
    condition     = local.quantities["10"].storage > 0 && local.charges["10"].storage == 0
    error_message = "5 GB are free in us-central1."
  }

  # The load balancer's fixed cost is why it is a switch.
  assert {
    condition     = local.charges["0"].lb_hour > 18 && local.charges["0"].lb_hour < 19 && local.charges["10"].lb_hour == 0
    error_message = "A load balancer costs 18 dollars a month, where there is one: ${jsonencode(local.charges)}"
  }

  # Traffic is sold by the month's tiers.
  assert {
    condition = (
      local.charges["100000"].egress == 1024 * 0.12 && abs(local.charges["100000"].egress_over_1 - 9216 * 0.11) < 0.01
      && local.charges["100000"].egress_over_10 > 0 && local.charges["10"].egress_over_1 == 0
      && abs(local.quantities["100000"].egress + local.quantities["100000"].egress_over_1 + local.quantities["100000"].egress_over_10 - local.months_more["100000"].sent) < 0.001
    )
    error_message = "1 TiB costs 0.12 a GiB, the next nine 0.11, more 0.08: ${jsonencode(local.charges["100000"])}"
  }

  # Asked from outside whether it is there, the tutor is always there.
  assert {
    condition     = local.charges["0"].run_always_vcpu > 42
    error_message = "An uptime check of chat costs as much as an instance that never ends: ${local.charges["0"].run_always_vcpu}."
  }
}

# An operator's own figures are counted with.
run "what_people_do_is_a_variable" {
  command = plan
  variables {
    warm             = { chat = 1 }
    model            = { has_key = true, name = "gpt-4o", speech = "tts-1" }
    cost_assumptions = { scales = [{ courses = 0 }, { courses = 1, tier = "db-custom-2-8192", high_availability = true }], written = 1, learners = 0 }
  }

  assert {
    condition     = local.charges["0"].run_always_vcpu > 42 && local.charges["0"].run_always_vcpu < 44
    error_message = "A tutor that is kept warm is paid for by the month: ${local.charges["0"].run_always_vcpu}."
  }
  assert {
    condition     = local.made.model > 1.4 && local.made.speech > 0.49 && local.made.speech < 0.51
    error_message = "gpt-4o costs 16 times what gpt-4o-mini does, and tts-1 15 dollars a million characters: ${local.made.model}, ${local.made.speech}."
  }
  assert {
    condition     = abs(local.charges["1"].sql_vcpu - 2 * 2 * 730 * 0.0413) < 0.01 && abs(local.charges["1"].sql_gib - 8 * 2 * 730 * 0.007) < 0.01
    error_message = "Two processors with 8 GB, in two zones: ${local.charges["1"].sql_vcpu}, ${local.charges["1"].sql_gib}."
  }
  assert {
    condition     = local.months["1"].made == 1 && local.bills["1"]["the model that writes and answers"] == local.made.model
    error_message = "One course was written, and nobody asked anything."
  }
}

run "a_scale_twice" {
  command = plan
  variables {
    cost_assumptions = { scales = [{ courses = 5 }, { courses = 5 }] }
  }
  expect_failures = [var.cost_assumptions]
}

run "more_than_all" {
  command = plan
  variables {
    cost_assumptions = { watched = 1.5 }
  }
  expect_failures = [var.cost_assumptions]
}
