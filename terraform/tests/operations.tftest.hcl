# What docs/operations.md has an operator do.
mock_provider "google" {
  source          = "./tests/google"
  override_during = plan
}

variables {
  project = "lectern-test"
  images  = { for f in ["auth", "chat", "courses", "finalize", "generate", "ingest", "migrate", "render", "sweep", "web"] : f => "image/${f}" }
}

run "its_own_instance" {
  command = plan

  assert {
    condition     = google_sql_database_instance.this.name == "lectern"
    error_message = "Without another name it is NAME's."
  }

  # migrate -verify looks at the clone before anything is restored, and at no other Lectern's.
  assert {
    condition = google_project_iam_member.migrate_client.condition[0].expression == join("", [
      "resource.type == \"sqladmin.googleapis.com/Instance\" && (resource.name == \"projects/lectern-test/instances/lectern\"",
      " || resource.name == \"projects/lectern-test/instances/lectern-look\")",
    ])
    error_message = "migrate reaches the database and NAME-look."
  }
}

run "no_name_of_an_instance" {
  command = plan
  variables {
    database = { instance = "Lectern 2" }
  }
  expect_failures = [var.database]
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
      && google_storage_bucket.media.force_destroy && !anytrue(values(google_secret_manager_secret.this)[*].deletion_protection)
    )
    error_message = "With protected = false everything can be deleted."
  }
}
