# What only a program may know. Those that Lectern shares with nobody are made here and are
# in neither the plan nor the state; the others are the operator's to fill. A new version is
# added beside the old ones by scripts: Terraform makes the first and leaves the rest alone.
locals {
  secrets_made  = toset(["cookie_keys", "gateway_key", "root_password"])
  secrets_given = toset(["backup_api_key", "dreambridge_secret", "openai_api_key", "smtp_password"])
}

resource "google_secret_manager_secret" "this" {
  for_each = setunion(local.secrets_made, local.secrets_given)

  secret_id = "${var.name}-${replace(each.key, "_", "-")}"
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
}
