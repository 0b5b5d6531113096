# The database. It has no address that the world could reach, no password that could be
# lost, and speaks to nobody unencrypted.
resource "google_sql_database_instance" "this" {
  name                = coalesce(var.database.instance, var.name)
  region              = var.region
  database_version    = var.database.version
  deletion_protection = var.protected

  settings {
    tier                        = var.database.tier
    edition                     = "ENTERPRISE" # else the newer versions are ENTERPRISE_PLUS, which has no small tier
    availability_type           = var.database.high_availability ? "REGIONAL" : "ZONAL"
    deletion_protection_enabled = var.protected # also against the console
    retain_backups_on_delete    = var.protected # its backups outlive it, until they are old

    # It begins with 10 GB and grows by itself. Its size is not said here: once it had grown,
    # Terraform would want a smaller one, and a disk becomes smaller by a new instance alone.
    disk_type             = "PD_SSD"
    disk_autoresize       = true
    disk_autoresize_limit = var.database.disk_limit_gb

    ip_configuration {
      ipv4_enabled    = false
      private_network = google_compute_network.this.id
      ssl_mode        = "ENCRYPTED_ONLY"
    }

    # Any second of the last days can be gone back to. Backups are kept in another region, too.
    backup_configuration {
      enabled                        = true
      start_time                     = "02:00" # UTC, and so not long before the maintenance
      point_in_time_recovery_enabled = true
      transaction_log_retention_days = min(7, var.database.backup_days)
      backup_retention_settings {
        retained_backups = var.database.backup_days
        retention_unit   = "COUNT"
      }
    }

    maintenance_window {
      day          = var.database.maintenance_day
      hour         = var.database.maintenance_hour
      update_track = "stable"
    }

    # Which statements take the time. It shows them without their values, and costs nothing.
    insights_config {
      query_insights_enabled  = true
      query_string_length     = 1024
      record_application_tags = false
      record_client_address   = false
    }

    dynamic "database_flags" {
      for_each = {
        "cloudsql.iam_authentication" = "on"
        "max_connections"             = tostring(var.database.max_connections)
        # Lets go of what an instance holds that was stopped in the middle of a transaction.
        "idle_in_transaction_session_timeout" = "60000"
      }
      content {
        name  = database_flags.key
        value = database_flags.value
      }
    }
  }

  depends_on = [google_service_networking_connection.services]
}

# It belongs to cloudsqlsuperuser, and goes with the instance: dropping it would fail while
# somebody is connected.
resource "google_sql_database" "lectern" {
  name            = "lectern"
  instance        = google_sql_database_instance.this.name
  deletion_policy = "ABANDON"
}

# Functions are users by their service accounts. They begin without any right; migrate makes
# each a member of the roles that it works as. Cloud SQL drops no user that is a member of
# something, so they, too, go with the instance.
resource "google_sql_user" "function" {
  for_each = local.database_functions

  name            = local.database_users[each.key]
  instance        = google_sql_database_instance.this.name
  type            = "CLOUD_IAM_SERVICE_ACCOUNT"
  deletion_policy = "ABANDON"
}

locals {
  database_functions = setsubtract(local.functions, ["web"]) # web asks the others

  # Postgres knows a service account by its e-mail without its ending.
  database_users = { for f in local.database_functions : f => trimsuffix(google_service_account.function[f].email, ".gserviceaccount.com") }

  # The connector finds the instance and encrypts: the host is only a name, and TLS not Postgres's.
  database_urls     = { for f, user in local.database_users : f => "postgres://${urlencode(user)}@cloudsql/${google_sql_database.lectern.name}?sslmode=disable" }
  cloudsql_instance = google_sql_database_instance.this.connection_name

  # Those that people call see one organisation at a time. Who signs people in, who works
  # for all of them, and chat, whose log of answers is one for all, see every one.
  tenant_users = [local.database_users["courses"]]
  system_users = [for f in ["auth", "chat", "finalize", "generate", "ingest", "render", "sweep"] : local.database_users[f]]
}
