# What docs/operations.md has an operator do.
mock_provider "google" {
  source          = "./tests/google"
  override_during = plan
}

variables {
  project = "lectern-test"
  images  = { for f in ["auth", "chat", "courses", "finalize", "generate", "ingest", "migrate", "render", "sweep", "web"] : f => "image/${f}" }
}

# A second Lectern in the project shares no name with the first; its database was restored
# into another instance, and is about to be destroyed.
run "a_second_environment" {
  command = plan
  variables {
    name      = "staging"
    database  = { instance = "staging-2" }
    protected = false
  }

  assert {
    condition = alltrue([for name in concat(
      [google_sql_database_instance.this.name, google_storage_bucket.media.name, google_compute_network.this.name, google_firestore_database.live.name],
      [google_artifact_registry_repository.images.repository_id, google_service_account.migrate.account_id, google_service_account.build.account_id],
      values(google_cloud_tasks_queue.this)[*].name, values(google_secret_manager_secret.this)[*].secret_id,
      values(google_service_account.function)[*].account_id, values(google_service_account.caller)[*].account_id,
    ) : startswith(name, "staging") || startswith(name, "lectern-test-staging")])
    error_message = "Something of staging's is named as another Lectern's could be."
  }

  # Functions and migrate are to use that instance, with its users.
  assert {
    condition = (
      google_sql_database_instance.this.name == "staging-2" && google_sql_database.lectern.instance == "staging-2"
      && alltrue([for user in google_sql_user.function : user.instance == "staging-2"]) && google_sql_user.migrate.instance == "staging-2"
    )
    error_message = "database.instance names the instance."
  }

  # Destroying takes two steps, of which the first changes only what protects.
  assert {
    condition = (
      !google_sql_database_instance.this.deletion_protection && !google_sql_database_instance.this.settings[0].deletion_protection_enabled
      && !google_sql_database_instance.this.settings[0].retain_backups_on_delete && google_storage_bucket.media.force_destroy
      && google_firestore_database.live.delete_protection_state == "DELETE_PROTECTION_DISABLED" && google_firestore_database.live.deletion_policy == "DELETE" && !anytrue(values(google_secret_manager_secret.this)[*].deletion_protection)
    )
    error_message = "With protected = false everything can be deleted."
  }
}
