terraform {
  required_version = ">= 1.11" # write-only arguments

  required_providers {
    google = {
      source  = "hashicorp/google"
      version = "~> 7.45"
    }
  }

  # terraform init -reconfigure -backend-config=backend.hcl, which scripts/begin.sh writes
  backend "gcs" {}
}

provider "google" {
  project               = var.project
  region                = var.region
  billing_project       = var.project # budgets are charged to a project's quota
  user_project_override = true
  default_labels        = { app = var.name }
}
