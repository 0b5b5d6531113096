# What functions stand on, and who releases them.
mock_provider "google" {
  source          = "./tests/google"
  override_during = plan
}

override_resource {
  target          = google_service_account.migrate
  override_during = plan
  values = {
    name   = "projects/lectern-test/serviceAccounts/lectern-migrate@lectern-test.iam.gserviceaccount.com"
    email  = "lectern-migrate@lectern-test.iam.gserviceaccount.com"
    member = "serviceAccount:lectern-migrate@lectern-test.iam.gserviceaccount.com"
  }
}

override_resource {
  target          = google_service_account.build
  override_during = plan
  values = {
    id     = "projects/lectern-test/serviceAccounts/lectern-build@lectern-test.iam.gserviceaccount.com"
    name   = "projects/lectern-test/serviceAccounts/lectern-build@lectern-test.iam.gserviceaccount.com"
    email  = "lectern-build@lectern-test.iam.gserviceaccount.com"
    member = "serviceAccount:lectern-build@lectern-test.iam.gserviceaccount.com"

    unique_id = "100000000000000000001"
  }
}

override_resource {
  target          = google_compute_network.this
  override_during = plan
  values = {
    id = "projects/lectern-test/global/networks/lectern"
  }
}

variables {
  project = "lectern-test"
  images  = { web = "i/web", migrate = "i/migrate" }
}

run "by_default" {
  command = plan

  # The database.
  assert {
    condition = alltrue([for s in google_sql_database_instance.this.settings : alltrue([for n in s.ip_configuration :
    !n.ipv4_enabled && n.private_network == "projects/lectern-test/global/networks/lectern" && n.ssl_mode == "ENCRYPTED_ONLY" && length(n.authorized_networks) == 0])])
    error_message = "The database is reached by its private address only, and encrypted."
  }
  assert {
    condition     = { for flag in google_sql_database_instance.this.settings[0].database_flags : flag.name => flag.value } == { "cloudsql.iam_authentication" = "on", "max_connections" = "50", "idle_in_transaction_session_timeout" = "60000" }
    error_message = "Who signs in does so by IAM, and connections are those that pools count with."
  }
  assert {
    condition     = google_sql_database_instance.this.name == "lectern" && google_sql_database_instance.this.settings[0].edition == "ENTERPRISE" && google_sql_database_instance.this.settings[0].tier == "db-f1-micro" && google_sql_database_instance.this.settings[0].availability_type == "ZONAL"
    error_message = "By default it is the smallest there is."
  }
  assert {
    condition = alltrue([for b in google_sql_database_instance.this.settings[0].backup_configuration :
    b.enabled && b.point_in_time_recovery_enabled && b.transaction_log_retention_days == 7 && b.backup_retention_settings[0].retained_backups == 7])
    error_message = "Any second of the last week can be gone back to."
  }
  assert {
    condition     = google_sql_database_instance.this.settings[0].insights_config[0].query_insights_enabled && google_sql_database_instance.this.settings[0].disk_autoresize && google_sql_database_instance.this.settings[0].disk_autoresize_limit == 100
    error_message = "It shows which statements take the time, and its disk grows, to a bound."
  }
  assert {
    condition = google_sql_database_instance.this.deletion_protection && google_sql_database_instance.this.settings[0].deletion_protection_enabled && google_sql_database_instance.this.settings[0].retain_backups_on_delete && google_firestore_database.live.delete_protection_state == "DELETE_PROTECTION_ENABLED" && !google_storage_bucket.media.force_destroy && alltrue([
    for secret in google_secret_manager_secret.this : secret.deletion_protection])
    error_message = "What holds data refuses to be deleted, and backups outlive their instance."
  }

  # Its users.
  assert {
    condition = { for f, user in google_sql_user.function : f => "${user.type} ${user.name}" } == { for f in ["auth", "chat", "courses", "finalize", "generate", "ingest", "render", "sweep"] :
    f => "CLOUD_IAM_SERVICE_ACCOUNT lectern-${f}@lectern-test.iam" }
    error_message = "Functions are users by their service accounts, and web is none."
  }
  assert {
    condition     = alltrue([for user in google_sql_user.function : length(coalesce(user.database_roles, [])) == 0 && user.password == null]) && google_sql_user.migrate.type == "CLOUD_IAM_SERVICE_ACCOUNT" && google_sql_user.migrate.database_roles == tolist(["cloudsqlsuperuser"])
    error_message = "Only migrate may more than it is given by SQL."
  }

  # Migrating.
  assert {
    condition = { for e in google_cloud_run_v2_job.migrate[0].template[0].template[0].containers[0].env : e.name => e.value } == {
      DATABASE_URL         = "postgres://lectern-migrate%40lectern-test.iam@cloudsql/lectern?sslmode=disable&role=cloudsqlsuperuser"
      CLOUDSQL_INSTANCE    = "lectern-test:europe-west1:lectern"
      DATABASE_CONNECTIONS = "2"
      TENANT_USERS         = "lectern-courses@lectern-test.iam"
      SYSTEM_USERS         = join(",", [for f in ["auth", "chat", "finalize", "generate", "ingest", "render", "sweep"] : "lectern-${f}@lectern-test.iam"])
    }
    error_message = "Migrate works as who owns the database, and admits each function as what it works as."
  }
  assert {
    condition     = google_cloud_run_v2_job.migrate[0].template[0].template[0].service_account == "lectern-migrate@lectern-test.iam.gserviceaccount.com" && length(coalesce(google_cloud_run_v2_job.migrate[0].template[0].template[0].containers[0].args, [])) == 0 && length(google_secret_manager_secret_iam_member.migrate) == 0
    error_message = "Without anybody who is root it makes no organisation and reads no secret."
  }

  # migrate -verify looks at the clone before anything is restored, and at no other Lectern's.
  assert {
    condition = google_project_iam_member.migrate_client.condition[0].expression == join("", [
      "resource.type == \"sqladmin.googleapis.com/Instance\" && (resource.name == \"projects/lectern-test/instances/lectern\"",
      " || resource.name == \"projects/lectern-test/instances/lectern-look\")",
    ])
    error_message = "migrate reaches the database and NAME-look."
  }

  # The bucket.
  assert {
    condition     = google_storage_bucket.media.uniform_bucket_level_access && google_storage_bucket.media.public_access_prevention == "enforced"
    error_message = "Nobody can make anything in the bucket public."
  }
  assert {
    condition     = alltrue([for rule in google_storage_bucket.media.cors : rule.origin == tolist(["https://lectern-web-123456789012.europe-west1.run.app"])])
    error_message = "Pages of web send documents and play films; others do not."
  }
  assert {
    condition     = google_storage_bucket.media.soft_delete_policy[0].retention_duration_seconds == 604800
    error_message = "What was deleted can be had back for a week."
  }
  assert {
    condition = jsonencode([for rule in google_storage_bucket.media.lifecycle_rule : { type = one(rule.action).type, age = one(rule.condition).age, prefix = one(rule.condition).matches_prefix }]) == jsonencode([
      { type = "AbortIncompleteMultipartUpload", age = 1, prefix = null },
      { type = "Delete", age = 90, prefix = ["segments/"] },
    ])
    error_message = "Only what was never completed, and segments, go by their age."
  }

  # Firestore.
  assert {
    condition     = length(google_firestore_field.expires.ttl_config) == 1 && google_firestore_field.expires.collection == "live" && google_firestore_field.expires.field == "expires" && google_firestore_field.expires.database == "lectern-live"
    error_message = "Documents go by themselves."
  }
  assert {
    condition     = alltrue([for field in [google_firestore_field.expires, google_firestore_field.body] : length(field.index_config) == 1 && length(field.index_config[0].indexes) == 0])
    error_message = "Neither their time nor what is in them is indexed."
  }
  assert {
    condition     = join(" ", regexall("allow [^;]*;", google_firebaserules_ruleset.closed.source[0].files[0].content)) == "allow read, write: if false;" && google_firebaserules_release.closed.name == "cloud.firestore/lectern-live"
    error_message = "Nobody reads or writes it from a browser."
  }

  # Secrets and images.
  assert {
    condition     = keys(google_secret_manager_secret_version.made) == ["cookie_keys", "gateway_key", "root_password"] && alltrue([for version in google_secret_manager_secret_version.made : version.secret_data == null])
    error_message = "What Lectern shares with nobody is made, and no state has it; what others give is empty."
  }
  assert {
    condition     = { for policy in google_artifact_registry_repository.images.cleanup_policies : policy.id => policy.action } == { keep-newest = "KEEP", delete-untagged = "DELETE", delete-old = "DELETE" }
    error_message = "Old images go, but for the newest of each function."
  }

  # Who releases may do what a release does, in no name but those of this Lectern's accounts.
  assert {
    condition = length(setintersection(keys(google_project_iam_member.build), [
      "roles/owner", "roles/editor", "roles/viewer", "roles/cloudsql.admin", "roles/datastore.owner", "roles/datastore.user", "roles/datastore.viewer", "roles/iam.securityAdmin", "roles/logging.viewer",
      "roles/iam.serviceAccountAdmin", "roles/iam.serviceAccountKeyAdmin", "roles/iam.serviceAccountTokenCreator", "roles/iam.serviceAccountUser",
      "roles/resourcemanager.projectIamAdmin", "roles/secretmanager.admin", "roles/secretmanager.secretAccessor", "roles/storage.admin", "roles/storage.objectAdmin",
    ])) == 0 && alltrue([for right in google_project_iam_custom_role.build_looks.permissions : can(regex("^(datastore\\.(databases|indexes)|logging\\.logMetrics|servicenetworking\\.services)\\.(get|getMetadata|list)$", right))])
    error_message = "A push gives nobody a right, reads no secret, no document and no log, deletes no database, and acts as nobody else in the project."
  }
  assert {
    condition = toset([for account in google_service_account_iam_member.build_acts_as : split("@", split("/serviceAccounts/", account.service_account_id)[1])[0]]) == setunion(
      [for f in ["auth", "chat", "courses", "finalize", "generate", "ingest", "render", "sweep", "web", "migrate"] : "lectern-${f}"],
      [for f in ["finalize", "generate", "ingest", "render", "sweep"] : "lectern-to-${f}"],
    ) && alltrue([for account in google_service_account_iam_member.build_acts_as : account.role == "roles/iam.serviceAccountUser" && account.member == "serviceAccount:lectern-build@lectern-test.iam.gserviceaccount.com"])
    error_message = "What it deploys runs as these accounts, one by one."
  }
  assert {
    condition     = google_storage_bucket_iam_member.build_state.bucket == "lectern-test-terraform" && google_storage_bucket_iam_member.build_state.condition[0].expression == "resource.name.startsWith(\"projects/_/buckets/lectern-test-terraform/objects/lectern/\")"
    error_message = "It writes this Lectern's state, and no other's."
  }
  assert {
    condition     = google_project_iam_custom_role.build_looks.role_id == "lectern_build_looks_100000000000000000001" && google_service_networking_connection.services.update_on_creation_fail
    error_message = "What was destroyed can be made anew, though Google Cloud keeps a role's id and a peering for weeks."
  }

  # Switches that are off.
  assert {
    condition = length(google_cloudbuild_trigger.push) == 0 && length(google_billing_account_iam_member.build) == 0 && length(google_secret_manager_secret_iam_member.build_probes) == 0 && (
      length(google_compute_global_forwarding_rule.https) + length(google_compute_global_address.front) + length(google_compute_backend_service.front) + length(google_compute_managed_ssl_certificate.front) == 0
    )
    error_message = "Without a repository there is no trigger, and without being asked for no load balancer."
  }
  assert {
    condition     = module.web.environment.TRUSTED_HOPS == "1" && google_compute_global_forwarding_rule.http == {}
    error_message = "Cloud Run itself is the only hop."
  }
  assert {
    condition     = contains(output.next, "PROJECT=lectern-test NAME=lectern REGION=europe-west1 STATE_BUCKET=lectern-test-terraform scripts/release.sh") == false && length([for command in output.next : command if strcontains(command, "secrets versions add lectern-openai-api-key")]) == 1
    error_message = "What is left to do is said, and what is done is not."
  }
}

# Before the first release, by a pipeline that may change functions alone.
run "nothing_is_released_yet" {
  command = plan
  variables {
    images                    = {}
    pipeline_changes_platform = false
    load_balancer             = true
    public_url                = "https://learn.example.org"
  }

  assert {
    condition     = length(google_cloud_run_v2_job.migrate) == 0 && length(google_sql_user.function) == 8
    error_message = "Before the first release there is the platform, and nothing that runs."
  }
  assert {
    condition     = contains(output.next, "PROJECT=lectern-test NAME=lectern REGION=europe-west1 STATE_BUCKET=lectern-test-terraform scripts/release.sh")
    error_message = "The next step is a release."
  }
  assert {
    condition     = toset([for role in keys(google_project_iam_member.build) : role if can(regex("[aA]dmin$|[eE]ditor$|configWriter$", role))]) == toset(["roles/run.admin", "roles/eventarc.admin", "roles/cloudscheduler.admin"])
    error_message = "Without being allowed more, a push changes what belongs to functions."
  }
}

run "as_large_as_it_gets" {
  command = plan
  variables {
    database        = { tier = "db-custom-2-7680", high_availability = true, max_connections = 400, backup_days = 30, disk_limit_gb = 0, version = "POSTGRES_15", maintenance_day = 2, maintenance_hour = 5 }
    deleted_days    = 30
    load_balancer   = true
    public_url      = "https://learn.example.org"
    trusted_origins = ["https://app.example.org"]
    root_email      = "root@example.org"
    dreambridge     = { email = "owner@example.org", has_secret = true }
    probe_has_key   = true
    billing_account = "012345-6789AB-CDEF01"
    repository      = { connection = "github", name = "example-lectern", branch = "release-1.0" }
  }

  assert {
    condition     = google_sql_database_instance.this.settings[0].availability_type == "REGIONAL" && google_sql_database_instance.this.settings[0].tier == "db-custom-2-7680" && google_sql_database_instance.this.database_version == "POSTGRES_15"
    error_message = "High availability is a switch."
  }
  assert {
    condition     = google_sql_database_instance.this.settings[0].backup_configuration[0].backup_retention_settings[0].retained_backups == 30 && google_sql_database_instance.this.settings[0].backup_configuration[0].transaction_log_retention_days == 7 && google_sql_database_instance.this.settings[0].maintenance_window[0].day == 2 && google_sql_database_instance.this.settings[0].maintenance_window[0].hour == 5
    error_message = "Backups are kept as long as is said, and logs as long as this edition can."
  }

  # The load balancer.
  assert {
    condition = length(google_compute_global_forwarding_rule.https) == 2 && length(google_compute_global_forwarding_rule.http) == 2 && alltrue([for backend in google_compute_backend_service.front :
    backend.enable_cdn && backend.cdn_policy[0].cache_mode == "USE_ORIGIN_HEADERS"]) && google_compute_managed_ssl_certificate.front["web"].managed[0].domains == tolist(["learn.example.org"])
    error_message = "It answers in IPv4 and IPv6 with a certificate for the host, and keeps what web calls public."
  }
  assert {
    condition     = google_compute_url_map.to_https["web"].default_url_redirect[0].https_redirect && alltrue([for rule in google_compute_global_forwarding_rule.http : rule.port_range == "80"])
    error_message = "Without TLS there is only the way to TLS."
  }
  assert {
    condition     = module.web.environment.TRUSTED_HOPS == "2" && module.web.ingress == "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER"
    error_message = "Behind it web trusts one hop more, and is reached by nothing else."
  }
  assert {
    condition     = alltrue([for rule in google_storage_bucket.media.cors : toset(rule.origin) == toset(["https://learn.example.org", "https://lectern-web-123456789012.europe-west1.run.app", "https://app.example.org"])])
    error_message = "Pages of all origins that are named use the bucket."
  }

  # Founding.
  assert {
    condition = google_cloud_run_v2_job.migrate[0].template[0].template[0].containers[0].args == tolist(["-bootstrap"]) && alltrue([for e in google_cloud_run_v2_job.migrate[0].template[0].template[0].containers[0].env : lookup({
      ROOT_EMAIL         = "root@example.org"
      ROOT_PASSWORD      = "sm://projects/lectern-test/secrets/lectern-root-password"
      DREAMBRIDGE_EMAIL  = "owner@example.org"
      DREAMBRIDGE_SECRET = "sm://projects/lectern-test/secrets/lectern-dreambridge-secret"
    }, e.name, e.value) == e.value])
    error_message = "Migrate founds the organisations, and reads their secrets itself."
  }
  assert {
    condition     = { for setting, member in google_secret_manager_secret_iam_member.migrate : setting => member.secret_id } == { ROOT_PASSWORD = "lectern-root-password", DREAMBRIDGE_SECRET = "lectern-dreambridge-secret" }
    error_message = "It may read these two secrets, and no other."
  }

  # The pipeline.
  assert {
    condition = alltrue([for trigger in google_cloudbuild_trigger.push : trigger.service_account == google_service_account.build.id && trigger.location == "europe-west1" && trigger.filename == "cloudbuild.yaml" &&
      trigger.repository_event_config[0].repository == "projects/lectern-test/locations/europe-west1/connections/github/repositories/example-lectern" &&
      trigger.repository_event_config[0].push[0].branch == "^release-1\\.0$" && trigger.substitutions == tomap({ _NAME = "lectern", _REGION = "europe-west1", _STATE_BUCKET = "lectern-test-terraform", _PROBE_SECRET = "lectern-probe-key" })
    ]) && length(google_cloudbuild_trigger.push) == 1
    error_message = "A push to that branch, and to no other, is released by its own account."
  }
  assert {
    condition     = google_secret_manager_secret_iam_member.build_probes[0].secret_id == "lectern-probe-key"
    error_message = "A release asks the new tutor by the probe's key."
  }
  assert {
    condition     = jsondecode(google_storage_bucket_object.variables.content).database.tier == "db-custom-2-7680" && jsondecode(google_storage_bucket_object.variables.content).load_balancer && google_storage_bucket_object.variables.name == "lectern/variables.json" && !contains(keys(jsondecode(google_storage_bucket_object.variables.content)), "images")
    error_message = "A push takes the variables of the last apply by hand, and its own images."
  }
  assert {
    condition     = keys(output.dns) == ["A", "AAAA"]
    error_message = "The records of the host are told."
  }
}
