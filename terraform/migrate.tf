# The job that brings the database up to date, and makes the organisations that a Lectern
# begins with. The pipeline runs it before functions that need what it makes.
resource "google_service_account" "migrate" {
  account_id   = "${var.name}-migrate"
  display_name = "Migrates Lectern's database (${var.name})"
  depends_on   = [google_project_service.api]
}

locals {
  migrate_user = trimsuffix(google_service_account.migrate.email, ".gserviceaccount.com")
}

# Cloud SQL lets no user make roles or tables but members of cloudsqlsuperuser. Members do
# not inherit that it may make roles, so that migrate works as it: the URL's role. Then all
# belongs to cloudsqlsuperuser, as the database itself does, and nothing to an account that
# may be replaced. migrations/cmd/migrate shows it (TestAsCloudSQLServiceAccount).
resource "google_sql_user" "migrate" {
  name            = local.migrate_user
  instance        = google_sql_database_instance.this.name
  type            = "CLOUD_IAM_SERVICE_ACCOUNT"
  database_roles  = ["cloudsqlsuperuser"]
  deletion_policy = "ABANDON"
}

# Also to the clone that a restore begins with, to say whether it is sound (docs/operations.md).
resource "google_project_iam_member" "migrate_client" {
  project = var.project
  role    = "roles/cloudsql.client"
  member  = google_service_account.migrate.member
  condition {
    title = "${google_sql_database_instance.this.name}, the database, and its clone"
    expression = "resource.type == \"sqladmin.googleapis.com/Instance\" && (${join(" || ", [
      for instance in distinct([google_sql_database_instance.this.name, "${var.name}-look"]) : "resource.name == \"projects/${var.project}/instances/${instance}\""
    ])})"
  }
}

resource "google_project_iam_member" "migrate_user" {
  project = var.project
  role    = "roles/cloudsql.instanceUser"
  member  = google_service_account.migrate.member
}

locals {
  # What migrate reads from Secret Manager by itself, as it runs.
  founding_secrets = merge(
    var.root_email == "" ? {} : { ROOT_PASSWORD = "root_password" },
    var.dreambridge.has_secret ? { DREAMBRIDGE_SECRET = "dreambridge_secret" } : {},
  )

  migrate_settings = merge(
    {
      DATABASE_URL         = "postgres://${urlencode(local.migrate_user)}@cloudsql/${google_sql_database.lectern.name}?sslmode=disable&role=cloudsqlsuperuser"
      CLOUDSQL_INSTANCE    = local.cloudsql_instance
      DATABASE_CONNECTIONS = tostring(local.pools.migrate.connections)
      TENANT_USERS         = join(",", local.tenant_users)
      SYSTEM_USERS         = join(",", local.system_users)
    },
    var.root_email == "" ? {} : { ROOT_EMAIL = var.root_email },
    var.dreambridge.email == "" ? {} : { DREAMBRIDGE_EMAIL = var.dreambridge.email },
    { for setting, secret in local.founding_secrets : setting => "sm://projects/${var.project}/secrets/${google_secret_manager_secret.this[secret].secret_id}" },
  )
}

resource "google_secret_manager_secret_iam_member" "migrate" {
  for_each = local.founding_secrets

  secret_id = google_secret_manager_secret.this[each.value].secret_id
  role      = "roles/secretmanager.secretAccessor"
  member    = google_service_account.migrate.member
}

resource "google_cloud_run_v2_job" "migrate" {
  count = contains(keys(local.images), "migrate") ? 1 : 0

  name                = "${var.name}-migrate"
  location            = var.region
  deletion_protection = false

  template {
    task_count  = 1
    parallelism = 1

    template {
      service_account = google_service_account.migrate.email
      timeout         = "3600s" # an index on a large table
      max_retries     = 1       # what was interrupted goes on where it was

      vpc_access {
        egress = "PRIVATE_RANGES_ONLY"
        network_interfaces {
          subnetwork = google_compute_subnetwork.functions.id
        }
      }

      containers {
        image = local.images.migrate
        args  = var.root_email == "" ? [] : ["-bootstrap"] # done again it finds nothing to do

        resources {
          limits = { cpu = "1", memory = "512Mi" }
        }

        dynamic "env" {
          for_each = local.migrate_settings
          content {
            name  = env.key
            value = env.value
          }
        }
      }
    }
  }

  lifecycle {
    ignore_changes = [client, client_version, template[0].labels] # marks of gcloud's, by which scripts/migrate.sh gives it its image
  }

  # It admits functions' users, so that they must be there.
  depends_on = [
    google_sql_user.function, google_sql_user.migrate,
    google_project_iam_member.migrate_client, google_project_iam_member.migrate_user,
    google_secret_manager_secret_iam_member.migrate,
  ]
}
