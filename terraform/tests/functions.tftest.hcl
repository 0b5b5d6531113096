# Who may call functions, what these may do, and what they are told.
mock_provider "google" {
  source          = "./tests/google"
  override_during = plan
}

# The same without what is only known when it has been made: so is the first apply.
mock_provider "google" {
  alias  = "first"
  source = "./tests/google"
}

variables {
  project = "lectern-test"
  images = {
    auth   = "i/auth", chat = "i/chat", courses = "i/courses", finalize = "i/finalize", generate = "i/generate",
    ingest = "i/ingest", render = "i/render", sweep = "i/sweep", web = "i/web",
  }
}

run "by_default" {
  command = plan

  # Who may call, exactly.
  assert {
    condition = jsonencode({
      auth     = module.auth.invokers, chat = module.chat.invokers, courses = module.courses.invokers, web = module.web.invokers,
      finalize = module.finalize.invokers, generate = module.generate.invokers, ingest = module.ingest.invokers,
      render   = module.render.invokers, sweep = module.sweep.invokers,
      }) == jsonencode(merge(
      { for f in ["auth", "chat", "courses", "web"] : f => ["allUsers"] },
      { for f in ["finalize", "generate", "ingest", "render", "sweep"] : f => ["serviceAccount:lectern-to-${f}@lectern-test.iam.gserviceaccount.com"] },
    ))
    error_message = "Everybody may call auth, chat, courses and web; each other function is called by one account of its own, and by nobody else."
  }

  assert {
    condition = alltrue(concat(
      [for f in [module.auth, module.chat, module.courses, module.web] : f.ingress == "INGRESS_TRAFFIC_ALL"],
      [for f in [module.finalize, module.generate, module.ingest, module.render, module.sweep] : f.ingress == "INGRESS_TRAFFIC_INTERNAL_ONLY"],
    ))
    error_message = "From the internet nobody comes as far as to be asked who they are by a private function."
  }

  assert {
    condition = alltrue([for f in [module.auth, module.chat, module.courses, module.finalize, module.generate, module.ingest, module.render, module.sweep, module.web] :
    f.unchecked == false])
    error_message = "Cloud Run asks every caller for their right."
  }

  # What each may do, exactly.
  assert {
    condition = alltrue([for f, rights in {
      auth     = module.auth.rights, chat = module.chat.rights, courses = module.courses.rights, finalize = module.finalize.rights,
      generate = module.generate.rights, ingest = module.ingest.rights, render = module.render.rights, sweep = module.sweep.rights,
      } : length([for right in rights : right if startswith(right, "roles/cloudsql.")]) == 2 && contains(rights,
      "roles/cloudsql.client resource.type == \"sqladmin.googleapis.com/Instance\" && resource.name == \"projects/lectern-test/instances/lectern\""
    )])
    error_message = "Whoever works with the database may connect to that one, and to no other instance of the project."
  }
  assert {
    condition = alltrue([for f, rights in {
      auth   = module.auth.rights, chat = module.chat.rights, courses = module.courses.rights, finalize = module.finalize.rights, generate = module.generate.rights,
      ingest = module.ingest.rights, render = module.render.rights, sweep = module.sweep.rights, web = module.web.rights,
      } : join(", ", [for right in rights : right if startswith(right, "roles/datastore.")]) == (contains(["auth", "chat", "web"], f) ? "" :
    "roles/datastore.user resource.name == \"projects/lectern-test/databases/lectern-live\"")])
    error_message = "Who has to do with jobs works with this Lectern's Firestore database, and with no other."
  }
  assert {
    condition = jsonencode({ for f, rights in {
      auth   = module.auth.rights, chat = module.chat.rights, courses = module.courses.rights, finalize = module.finalize.rights, generate = module.generate.rights,
      ingest = module.ingest.rights, render = module.render.rights, sweep = module.sweep.rights, web = module.web.rights,
      } : f => [for right in rights : trimprefix(replace(right, "projects/_/buckets/lectern-test-lectern-media/objects/", ""), "roles/storage.objectUser ") if startswith(right, "roles/storage.")]
      }) == jsonencode({
      auth     = [], chat = [], generate = [], web = []
      courses  = ["resource.type == \"storage.googleapis.com/Bucket\" || resource.name.startsWith(\"sources/\") || resource.name.startsWith(\"videos/\")"]
      finalize = ["resource.type == \"storage.googleapis.com/Bucket\" || resource.name.startsWith(\"sources/\") || resource.name.startsWith(\"videos/\")"]
      ingest   = ["resource.type == \"storage.googleapis.com/Bucket\" || resource.name.startsWith(\"sources/\")"]
      render   = ["resource.type == \"storage.googleapis.com/Bucket\" || resource.name.startsWith(\"segments/\") || resource.name.startsWith(\"videos/\")"]
      sweep    = ["the bucket"]
    })
    error_message = "In the bucket each has its folders, and only sweep has all."
  }
  assert {
    condition = alltrue([for f, function in {
      auth   = module.auth, chat = module.chat, courses = module.courses, finalize = module.finalize, generate = module.generate,
      ingest = module.ingest, render = module.render, sweep = module.sweep,
      } : toset([for right in function.rights : trimprefix(right, "roles/cloudtasks.enqueuer lectern-") if startswith(right, "roles/cloudtasks.")]) ==
    toset([for setting, url in function.environment : lower(trimsuffix(setting, "_URL")) if contains(["GENERATE_URL", "INGEST_URL", "RENDER_URL"], setting)])])
    error_message = "Who is told where a target's tasks go may put some into its queue, and nobody else may."
  }
  assert {
    condition = jsonencode({ for f, function in {
      auth   = module.auth, chat = module.chat, courses = module.courses, finalize = module.finalize, generate = module.generate,
      ingest = module.ingest, render = module.render, sweep = module.sweep, web = module.web,
      } : f => [for right in function.rights : right if startswith(right, "roles/iam.")] if anytrue([for right in function.rights : startswith(right, "roles/iam.")])
    }) == jsonencode({ courses = ["roles/iam.serviceAccountTokenCreator projects/lectern-test/serviceAccounts/lectern-courses@lectern-test.iam.gserviceaccount.com"] })
    error_message = "Only courses signs addresses, and in no name but its own."
  }
  assert {
    condition = alltrue([for f, function in {
      auth   = module.auth, chat = module.chat, courses = module.courses, finalize = module.finalize, generate = module.generate,
      ingest = module.ingest, render = module.render, sweep = module.sweep, web = module.web,
      } : toset([for right in function.rights : trimprefix(right, "roles/secretmanager.secretAccessor ") if startswith(right, "roles/secretmanager.")]) == toset(values(function.secrets))
      && length([for right in function.rights : right if !can(regex("^roles/(cloudsql.(client|instanceUser)|cloudtasks.enqueuer|datastore.user|storage.objectUser|secretmanager.secretAccessor|iam.serviceAccountTokenCreator) ", right))]) == 0
    ])
    error_message = "Each reads the secrets that it is told, no others; and there are no rights of other sorts."
  }

  # What each is told.
  assert {
    condition = jsonencode({
      auth   = module.auth.secrets, chat = module.chat.secrets, courses = module.courses.secrets, finalize = module.finalize.secrets, generate = module.generate.secrets,
      ingest = module.ingest.secrets, render = module.render.secrets, sweep = module.sweep.secrets, web = module.web.secrets,
      }) == jsonencode({
      auth     = { COOKIE_KEYS = "lectern-cookie-keys", GATEWAY_KEY = "lectern-gateway-key" }
      chat     = { COOKIE_KEYS = "lectern-cookie-keys", GATEWAY_KEY = "lectern-gateway-key" }
      courses  = { COOKIE_KEYS = "lectern-cookie-keys", GATEWAY_KEY = "lectern-gateway-key" }
      finalize = {}, generate = {}, ingest = {}, render = {}, sweep = {}
      web      = { GATEWAY_KEY = "lectern-gateway-key" }
    })
    error_message = "A secret that nobody has filled is bound to nothing: a revision would not start."
  }
  assert {
    condition = alltrue(flatten([for f, function in {
      auth   = module.auth, chat = module.chat, courses = module.courses, finalize = module.finalize, generate = module.generate,
      ingest = module.ingest, render = module.render, sweep = module.sweep, web = module.web,
      } : [for setting, value in function.environment : value != "" && value != "null"]
    ]))
    error_message = "Nothing is set to nothing."
  }
  assert {
    condition = alltrue([for f, function in { finalize = module.finalize, generate = module.generate, ingest = module.ingest, render = module.render, sweep = module.sweep } :
      function.environment.OIDC_AUDIENCE == "https://lectern-${f}-123456789012.europe-west1.run.app${f == "finalize" ? ",https://lectern-finalize-abcde12345-ew.a.run.app" : ""}"
      && function.environment.OIDC_CALLERS == "lectern-to-${f}@lectern-test.iam.gserviceaccount.com"
    && function.environment.OIDC_BEHIND_IAM == "true"])
    error_message = "A private function knows its own address, and who calls."
  }
  assert {
    condition     = module.auth.environment.VERIFY_EMAIL == "false" && !contains(keys(module.auth.environment), "SMTP_HOST")
    error_message = "Nobody waits for letters that no server sends."
  }
  assert {
    condition = alltrue([for f, function in {
      auth   = module.auth, chat = module.chat, courses = module.courses, finalize = module.finalize, generate = module.generate,
      ingest = module.ingest, render = module.render, sweep = module.sweep, web = module.web,
    } : function.limits.max_instances == local.pools[f].instances && function.limits.concurrency == local.pools[f].concurrency])
    error_message = "Instances and requests are those that pools.tf counts."
  }

  # Who calls.
  assert {
    condition = alltrue([for target, queue in google_cloud_tasks_queue.this :
      queue.http_target[0].oidc_token[0].service_account_email == "lectern-to-${target}@lectern-test.iam.gserviceaccount.com"
      && queue.http_target[0].oidc_token[0].audience == local.urls[target]
    && queue.rate_limits[0].max_concurrent_dispatches == local.pools[target].instances * local.pools[target].concurrency])
    error_message = "A queue calls as its own account, as much at once as the instances take."
  }
  assert {
    condition = (one(google_eventarc_trigger.finalize[*].location) == "europe-west1"
      && one(google_eventarc_trigger.finalize[*].service_account) == "lectern-to-finalize@lectern-test.iam.gserviceaccount.com"
      && one(google_eventarc_trigger.finalize[0].destination[0].cloud_run_service[*].service) == "lectern-finalize"
      && toset([for c in google_eventarc_trigger.finalize[0].matching_criteria : "${c.attribute} ${c.value}"]) == toset(["type google.cloud.storage.object.v1.finalized", "bucket lectern-test-lectern-media"])
      && google_project_iam_member.trigger_receives.role == "roles/eventarc.eventReceiver"
      && google_project_iam_member.storage_publishes.role == "roles/pubsub.publisher"
    && google_project_iam_member.storage_publishes.member == "serviceAccount:service-123456789012@gs-project-accounts.iam.gserviceaccount.com")
    error_message = "The trigger hears of this bucket's objects, where the bucket is, and calls finalize."
  }
  assert {
    condition = (one(google_cloud_scheduler_job.sweep[*].schedule) == "*/5 * * * *"
      && google_cloud_scheduler_job.sweep[0].http_target[0].http_method == "POST"
      && google_cloud_scheduler_job.sweep[0].http_target[0].uri == "${local.urls.sweep}/"
      && google_cloud_scheduler_job.sweep[0].http_target[0].oidc_token[0].audience == local.urls.sweep
      && google_cloud_scheduler_job.sweep[0].http_target[0].oidc_token[0].service_account_email == "lectern-to-sweep@lectern-test.iam.gserviceaccount.com"
    && google_cloud_scheduler_job.sweep[0].attempt_deadline == "${module.sweep.limits.timeout_seconds}s")
    error_message = "The scheduler calls sweep every five minutes, as its own account, and waits as long as a sweep may take."
  }
}

# The first apply makes the platform; what the pipeline has not released yet is not there.
run "before_the_first_release" {
  command = plan

  variables {
    images   = { web = "i/web" }
    database = { max_connections = 49 }
  }

  assert {
    condition = (module.web.service == "lectern-web" && module.chat.service == null && module.render.service == null
    && length(module.chat.invokers) == 0 && length(google_eventarc_trigger.finalize) == 0 && length(google_cloud_scheduler_job.sweep) == 0)
    error_message = "A function without an image is not there, and nobody calls it."
  }
  assert {
    condition     = length(google_cloud_tasks_queue.this) == 3 && length(module.courses.rights) > 0
    error_message = "Queues and rights are there before the functions."
  }

  # One more than all functions and migrate can open together is enough.
  assert {
    condition     = output.connections == { needed = 38, room = 39 }
    error_message = "Functions and migrate need ${output.connections.needed} connections together."
  }
}

run "every_switch_of_another" {
  command = plan

  variables {
    name       = "rehearsal"
    public_url = "https://learn.example.org"

    domain_restricted = true
    trusted_origins   = ["https://app.example.org", "https://lms.example.org:8443"]
    log_level         = "DEBUG"
    sweep_minutes     = 2
    instances         = { render = 3, courses = 1 }
    warm              = { web = 1 }
    model             = { name = "gpt-4o-2024-08-06", speech = "gpt-4o-mini-tts", has_key = true, first_token_deadline = "1500ms" }
    backup            = { base_url = "https://models.example.org/v1", name = "small", has_key = true }
    mail              = { host = "smtp.example.org", port = 465, user = "lectern", from = "Lectern <lectern@example.org>", has_password = true }
    budget = {
      soft_micros = 8000000, hard_micros = 10000000, calls_per_job = 900
      prices      = { small = { kind = "tokens", input = 0.1, output = 0.2, source = "https://models.example.org/prices", read = "2026-11-22" } }
    }
    chat_limits = { answers_per_user = 0 }
    job_limits  = { renders_per_user = 2 }
  }

  assert {
    condition = alltrue([for f in [module.auth, module.chat, module.courses, module.web] : f.unchecked && length(f.invokers) == 0]) && alltrue([
    for f in [module.finalize, module.generate, module.ingest, module.render, module.sweep] : f.unchecked == false && length(f.invokers) == 1])
    error_message = "In an organisation that forbids rights for everybody public functions ask for none, and private ones do as before."
  }
  assert {
    condition = (module.auth.environment.PUBLIC_URL == "https://learn.example.org"
      && module.auth.environment.VERIFY_EMAIL == "true" && module.auth.environment.SMTP_HOST == "smtp.example.org" && module.auth.environment.SMTP_PORT == "465"
      && module.auth.environment.MAIL_FROM == "Lectern <lectern@example.org>" && module.auth.secrets.SMTP_PASSWORD == "rehearsal-smtp-password"
    && module.sweep.environment.SMTP_USER == "lectern" && module.sweep.secrets.SMTP_PASSWORD == "rehearsal-smtp-password")
    error_message = "With a mail server accounts wait for their letter, and owners are written to."
  }
  assert {
    condition = (module.chat.environment.OPENAI_MODEL == "gpt-4o-2024-08-06" && module.generate.environment.BACKUP_BASE_URL == "https://models.example.org/v1"
      && module.chat.environment.FIRST_TOKEN_DEADLINE == "1500ms" && module.render.environment.OPENAI_SPEECH_MODEL == "gpt-4o-mini-tts"
      && module.chat.secrets.OPENAI_API_KEY == "rehearsal-openai-api-key" && module.chat.secrets.BACKUP_API_KEY == "rehearsal-backup-api-key"
      && module.generate.secrets.BACKUP_API_KEY == "rehearsal-backup-api-key" && module.render.secrets.OPENAI_API_KEY == "rehearsal-openai-api-key"
    && !contains(keys(module.render.secrets), "BACKUP_API_KEY"))
    error_message = "Models are told to who asks them, and keys to who needs them."
  }
  assert {
    condition = alltrue([for f in [module.auth, module.chat, module.courses, module.generate, module.render, module.sweep] :
      f.environment.BUDGET_SOFT_MICROS == "8000000" && f.environment.BUDGET_HARD_MICROS == "10000000" && f.environment.BUDGET_CALLS_PER_JOB == "900"
    && jsondecode(f.environment.PRICES).small.output == 0.2])
    error_message = "All who count money count by the same budget and prices."
  }
  assert {
    condition = (module.courses.environment.TRUSTED_ORIGINS == "https://app.example.org,https://lms.example.org:8443"
      && module.web.environment.LOG_LEVEL == "DEBUG" && module.chat.environment.CHAT_ANSWERS_PER_USER == "0" && module.chat.environment.CHAT_STREAMS_PER_USER == "20"
    && module.courses.environment.RENDERS_PER_USER == "2")
    error_message = "Origins, the log's level and limits are told."
  }
  assert {
    condition = (module.render.limits.max_instances == 3 && google_cloud_tasks_queue.this["render"].rate_limits[0].max_concurrent_dispatches == 3
    && module.courses.limits.max_instances == 1 && google_cloud_scheduler_job.sweep[0].schedule == "*/2 * * * *")
    error_message = "More instances of render take more of its queue at once; and sweep comes as often as it is said."
  }

  assert {
    condition = (module.chat.service == "rehearsal-chat" && google_cloud_tasks_queue.this["render"].name == "rehearsal-render"
      && google_eventarc_trigger.finalize[0].name == "rehearsal-finalize" && google_cloud_scheduler_job.sweep[0].name == "rehearsal-sweep"
      && module.courses.environment.QUEUE_PREFIX == "rehearsal-" && module.courses.environment.BUCKET == "lectern-test-rehearsal-media"
      && module.courses.environment.FIRESTORE_DATABASE == "rehearsal-live" && module.chat.secrets.COOKIE_KEYS == "rehearsal-cookie-keys"
      && module.courses.environment.RENDER_URL == "https://rehearsal-render-123456789012.europe-west1.run.app"
      && contains(module.courses.rights, "roles/datastore.user resource.name == \"projects/lectern-test/databases/rehearsal-live\"")
    && google_project_iam_member.storage_publishes.condition[0].title == "for rehearsal")
    error_message = "Another name makes other resources, and rights of those alone."
  }
}

# Another instance of courses makes them 41, for which room for 41 is not enough.
run "connections_do_not_fit" {
  command = plan

  variables {
    images    = {}
    instances = { courses = 3 }
    database  = { max_connections = 51 }
  }
  expect_failures = [output.connections]
}

# Terraform asks the rules, those that look at two variables as well; each of them is tried
# in internal/archtest, which takes no time.
run "what_is_wrong_is_refused" {
  command = plan

  variables {
    images       = {}
    name         = "le"
    database     = { disk_limit_gb = 5 }
    model        = { speech = "gpt-4o", has_key = true } # which does not speak
    backup       = { has_key = true }                    # of no server
    verify_email = true                                  # by nobody

    load_balancer = true # of no host
  }
  expect_failures = [var.name, var.database, var.model, var.backup, var.verify_email, var.load_balancer]
}

# What is made, and for whom, does not depend on what only Google Cloud will say.
run "all_in_one_apply" {
  command = plan

  providers = {
    google = google.first
  }

  assert {
    condition     = module.finalize.service == "lectern-finalize" && length(google_eventarc_trigger.finalize) == 1 && length(google_cloud_scheduler_job.sweep) == 1
    error_message = "With all images there the first apply makes everything."
  }
}
