# What docs/operations.md has an operator do.
mock_provider "google" {
  source          = "./tests/google"
  override_during = plan
}

variables {
  project = "lectern-test"
  images  = { for f in ["auth", "chat", "courses", "finalize", "generate", "ingest", "migrate", "render", "sweep", "web"] : f => "image/${f}" }
}

# Restored into another instance, it is that one that functions and migrate are to use.
run "another_instance" {
  command = plan
  variables {
    database = { instance = "lectern-2" }
  }

  assert {
    condition     = google_sql_database_instance.this.name == "lectern-2" && google_sql_database.lectern.instance == "lectern-2"
    error_message = "database.instance names the instance."
  }
  assert {
    condition     = alltrue([for user in google_sql_user.function : user.instance == "lectern-2"]) && google_sql_user.migrate.instance == "lectern-2"
    error_message = "Its users are in that instance."
  }
}

run "its_own_instance" {
  command = plan

  assert {
    condition     = google_sql_database_instance.this.name == "lectern"
    error_message = "Without another name it is NAME's."
  }
}

run "no_name_of_an_instance" {
  command = plan
  variables {
    database = { instance = "Lectern 2" }
  }
  expect_failures = [var.database]
}

# A second Lectern in the project shares no name with the first.
run "a_second_environment" {
  command = plan
  variables {
    name = "staging"
  }

  assert {
    condition = alltrue([for name in concat(
      [google_sql_database_instance.this.name, google_storage_bucket.media.name, google_compute_network.this.name, google_firestore_database.live.name],
      [google_artifact_registry_repository.images.repository_id, google_sql_user.migrate.instance],
      values(google_cloud_tasks_queue.this)[*].name, values(google_secret_manager_secret.this)[*].secret_id,
      values(google_service_account.function)[*].account_id, values(google_service_account.caller)[*].account_id,
    ) : startswith(name, "staging") || startswith(name, "lectern-test-staging")])
    error_message = "Something of staging's is named as another Lectern's could be."
  }
}

# Destroying takes two steps, of which the first changes only what protects.
run "unprotected" {
  command = plan
  variables {
    protected = false
  }

  assert {
    condition = (
      !google_sql_database_instance.this.deletion_protection && !google_sql_database_instance.this.settings[0].deletion_protection_enabled
      && google_storage_bucket.media.force_destroy
    )
    error_message = "With protected = false the database and the bucket can be deleted."
  }
}
