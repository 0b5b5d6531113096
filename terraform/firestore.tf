# What people see moving: one small document a job. Nothing in it is the only copy, so that
# it has no backup. A project has one Firestore for nothing; a second Lectern's is paid for.
resource "google_firestore_database" "live" {
  name                    = "${var.name}-live"
  location_id             = var.region
  type                    = "FIRESTORE_NATIVE"
  delete_protection_state = var.protected ? "DELETE_PROTECTION_ENABLED" : "DELETE_PROTECTION_DISABLED"
  deletion_policy         = "DELETE" # and not forgotten, which would still be paid for
  depends_on              = [google_project_service.api]
}

# Documents go by themselves, within a day of their time. Nobody asks for them by it, and an
# index on ever later times is what Firestore is slowest at.
resource "google_firestore_field" "expires" {
  database   = google_firestore_database.live.name
  collection = "live"
  field      = "expires"
  ttl_config {}
  index_config {}
}

# Nobody looks into it: indexed, every update would be written twice, and 1500 bytes be its limit.
resource "google_firestore_field" "body" {
  database   = google_firestore_database.live.name
  collection = "live"
  field      = "body"
  index_config {}
  depends_on = [google_firestore_field.expires] # Firestore changes one field of a database at a time
}

# Only functions read and write, by IAM. Whoever comes with a browser's key is refused.
resource "google_firebaserules_ruleset" "closed" {
  source {
    files {
      name    = "firestore.rules"
      content = <<-RULES
        rules_version = '2';
        service cloud.firestore {
          match /databases/{database}/documents {
            match /{document=**} {
              allow read, write: if false;
            }
          }
        }
      RULES
    }
  }
  depends_on = [google_project_service.api]
}

resource "google_firebaserules_release" "closed" {
  name         = "cloud.firestore/${google_firestore_database.live.name}"
  ruleset_name = "projects/${var.project}/rulesets/${google_firebaserules_ruleset.closed.name}"

  lifecycle {
    replace_triggered_by = [google_firebaserules_ruleset.closed]
  }
}
