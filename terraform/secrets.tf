# What only a program may know. Those that Lectern shares with nobody are made here, and are
# in neither the plan nor the state; the others are the operator's to fill. Further versions
# are added by scripts/rotate.sh: Terraform makes the first, and leaves the rest alone. The
# first may be disabled, but not destroyed, since Terraform would make it anew, as the newest.
locals {
  secrets_made  = toset(["cookie_keys", "gateway_key", "root_password"])
  secrets_given = toset(keys(local.secrets_given_by))

  # Which variable says that the operator has filled a secret, and what it says.
  secrets_given_by = {
    backup_api_key     = "backup.has_key"
    dreambridge_secret = "dreambridge.has_secret"
    openai_api_key     = "model.has_key"
    probe_key          = "probe_has_key"
    smtp_password      = "mail.has_password"
  }
  secrets_filled = {
    backup_api_key     = var.backup.has_key
    dreambridge_secret = var.dreambridge.has_secret
    openai_api_key     = var.model.has_key
    probe_key          = var.probe_has_key
    smtp_password      = var.mail.has_password
  }
}

resource "google_secret_manager_secret" "this" {
  for_each = setunion(local.secrets_made, local.secrets_given)

  secret_id           = "${var.name}-${replace(each.key, "_", "-")}"
  deletion_protection = var.protected
  version_destroy_ttl = "604800s" # a version that was destroyed by mistake can be had back for a week
  replication {
    auto {}
  }
  depends_on = [google_project_service.api]
}

resource "google_secret_manager_secret_version" "made" {
  for_each = local.secrets_made

  secret                 = google_secret_manager_secret.this[each.key].id
  secret_data_wo         = "${uuid()}${uuid()}" # 244 random bits
  secret_data_wo_version = 1

  lifecycle {
    ignore_changes = [enabled]
  }
}
