resource "google_sql_database_instance" "this" {
  name                = var.name
  region              = var.region
  database_version    = "POSTGRES_17"
  deletion_protection = var.database.deletion_protection

  settings {
    tier                        = var.database.tier
    edition                     = "ENTERPRISE"
    deletion_protection_enabled = var.database.deletion_protection

    ip_configuration {
      ipv4_enabled    = false
      private_network = google_compute_network.this.id
      ssl_mode        = "ENCRYPTED_ONLY"
    }
    database_flags {
      name  = "cloudsql.iam_authentication"
      value = "on"
    }
    database_flags {
      name  = "max_connections"
      value = tostring(var.database.max_connections)
    }
  }

  depends_on = [google_service_networking_connection.services]
}

resource "google_sql_database" "lectern" {
  name     = "lectern"
  instance = google_sql_database_instance.this.name
}

# Functions are users of the database by their service accounts: no password exists.
resource "google_sql_user" "function" {
  for_each = local.database_functions

  name     = local.database_users[each.key]
  instance = google_sql_database_instance.this.name
  type     = "CLOUD_IAM_SERVICE_ACCOUNT"
}

locals {
  database_functions = setsubtract(local.functions, ["web"]) # web asks the others

  # Postgres knows a service account by its e-mail without its ending.
  database_users = { for f in local.database_functions : f => trimsuffix(google_service_account.function[f].email, ".gserviceaccount.com") }

  # The connector finds the instance and encrypts: the host is only a name, and TLS not Postgres's.
  database_urls     = { for f, user in local.database_users : f => "postgres://${urlencode(user)}@cloudsql/${google_sql_database.lectern.name}?sslmode=disable" }
  cloudsql_instance = google_sql_database_instance.this.connection_name
}
