# What Google Cloud would answer, as far as tests look at it: accounts have their real form,
# so that who may do what can be told; all else is invented by Terraform.
mock_resource "google_sql_database_instance" {
  defaults = {
    connection_name = "lectern-test:europe-west1:lectern"
  }
}

mock_resource "google_cloud_run_v2_service" {
  defaults = {
    uri = "https://lectern-some-abcde12345-ew.a.run.app"
  }
}

mock_data "google_project" {
  defaults = {
    number = "123456789012"
  }
}

mock_data "google_storage_project_service_account" {
  defaults = {
    member = "serviceAccount:service-123456789012@gs-project-accounts.iam.gserviceaccount.com"
  }
}

override_resource {
  target = google_service_account.function["auth"]
  values = {
    name   = "projects/lectern-test/serviceAccounts/lectern-auth@lectern-test.iam.gserviceaccount.com"
    email  = "lectern-auth@lectern-test.iam.gserviceaccount.com"
    member = "serviceAccount:lectern-auth@lectern-test.iam.gserviceaccount.com"
  }
}

override_resource {
  target = google_service_account.function["chat"]
  values = {
    name   = "projects/lectern-test/serviceAccounts/lectern-chat@lectern-test.iam.gserviceaccount.com"
    email  = "lectern-chat@lectern-test.iam.gserviceaccount.com"
    member = "serviceAccount:lectern-chat@lectern-test.iam.gserviceaccount.com"
  }
}

override_resource {
  target = google_service_account.function["courses"]
  values = {
    name   = "projects/lectern-test/serviceAccounts/lectern-courses@lectern-test.iam.gserviceaccount.com"
    email  = "lectern-courses@lectern-test.iam.gserviceaccount.com"
    member = "serviceAccount:lectern-courses@lectern-test.iam.gserviceaccount.com"
  }
}

override_resource {
  target = google_service_account.function["finalize"]
  values = {
    name   = "projects/lectern-test/serviceAccounts/lectern-finalize@lectern-test.iam.gserviceaccount.com"
    email  = "lectern-finalize@lectern-test.iam.gserviceaccount.com"
    member = "serviceAccount:lectern-finalize@lectern-test.iam.gserviceaccount.com"
  }
}

override_resource {
  target = google_service_account.function["generate"]
  values = {
    name   = "projects/lectern-test/serviceAccounts/lectern-generate@lectern-test.iam.gserviceaccount.com"
    email  = "lectern-generate@lectern-test.iam.gserviceaccount.com"
    member = "serviceAccount:lectern-generate@lectern-test.iam.gserviceaccount.com"
  }
}

override_resource {
  target = google_service_account.function["ingest"]
  values = {
    name   = "projects/lectern-test/serviceAccounts/lectern-ingest@lectern-test.iam.gserviceaccount.com"
    email  = "lectern-ingest@lectern-test.iam.gserviceaccount.com"
    member = "serviceAccount:lectern-ingest@lectern-test.iam.gserviceaccount.com"
  }
}

override_resource {
  target = google_service_account.function["render"]
  values = {
    name   = "projects/lectern-test/serviceAccounts/lectern-render@lectern-test.iam.gserviceaccount.com"
    email  = "lectern-render@lectern-test.iam.gserviceaccount.com"
    member = "serviceAccount:lectern-render@lectern-test.iam.gserviceaccount.com"
  }
}

override_resource {
  target = google_service_account.function["sweep"]
  values = {
    name   = "projects/lectern-test/serviceAccounts/lectern-sweep@lectern-test.iam.gserviceaccount.com"
    email  = "lectern-sweep@lectern-test.iam.gserviceaccount.com"
    member = "serviceAccount:lectern-sweep@lectern-test.iam.gserviceaccount.com"
  }
}

override_resource {
  target = google_service_account.function["web"]
  values = {
    name   = "projects/lectern-test/serviceAccounts/lectern-web@lectern-test.iam.gserviceaccount.com"
    email  = "lectern-web@lectern-test.iam.gserviceaccount.com"
    member = "serviceAccount:lectern-web@lectern-test.iam.gserviceaccount.com"
  }
}

override_resource {
  target = google_service_account.caller["finalize"]
  values = {
    name   = "projects/lectern-test/serviceAccounts/lectern-to-finalize@lectern-test.iam.gserviceaccount.com"
    email  = "lectern-to-finalize@lectern-test.iam.gserviceaccount.com"
    member = "serviceAccount:lectern-to-finalize@lectern-test.iam.gserviceaccount.com"
  }
}

override_resource {
  target = google_service_account.caller["generate"]
  values = {
    name   = "projects/lectern-test/serviceAccounts/lectern-to-generate@lectern-test.iam.gserviceaccount.com"
    email  = "lectern-to-generate@lectern-test.iam.gserviceaccount.com"
    member = "serviceAccount:lectern-to-generate@lectern-test.iam.gserviceaccount.com"
  }
}

override_resource {
  target = google_service_account.caller["ingest"]
  values = {
    name   = "projects/lectern-test/serviceAccounts/lectern-to-ingest@lectern-test.iam.gserviceaccount.com"
    email  = "lectern-to-ingest@lectern-test.iam.gserviceaccount.com"
    member = "serviceAccount:lectern-to-ingest@lectern-test.iam.gserviceaccount.com"
  }
}

override_resource {
  target = google_service_account.caller["render"]
  values = {
    name   = "projects/lectern-test/serviceAccounts/lectern-to-render@lectern-test.iam.gserviceaccount.com"
    email  = "lectern-to-render@lectern-test.iam.gserviceaccount.com"
    member = "serviceAccount:lectern-to-render@lectern-test.iam.gserviceaccount.com"
  }
}

override_resource {
  target = google_service_account.caller["sweep"]
  values = {
    name   = "projects/lectern-test/serviceAccounts/lectern-to-sweep@lectern-test.iam.gserviceaccount.com"
    email  = "lectern-to-sweep@lectern-test.iam.gserviceaccount.com"
    member = "serviceAccount:lectern-to-sweep@lectern-test.iam.gserviceaccount.com"
  }
}
