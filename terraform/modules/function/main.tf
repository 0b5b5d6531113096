locals {
  name    = "${var.deployment.name}-${var.function}"
  image   = lookup(var.deployment.images, var.function, null)
  account = var.deployment.accounts[var.function]
  member  = "serviceAccount:${local.account}"
  # Where everybody may call and nobody may say so in a policy, nobody is asked.
  unchecked = var.deployment.restricted && lookup(var.invokers, "everyone", "") == "allUsers"
  # A revision is refused, or differs for ever, over what is set to nothing.
  environment = { for name, value in var.environment : name => value if value != "" }
}

resource "google_cloud_run_v2_service" "this" {
  count = local.image == null ? 0 : 1

  name                 = local.name
  project              = var.deployment.project
  location             = var.deployment.region
  ingress              = var.ingress
  invoker_iam_disabled = local.unchecked
  deletion_protection  = false # it holds nothing; what does is protected

  # The revision that goes and the one that comes share it, so that the database has room
  # for both. The template's holds for a candidate, which has no part of the traffic yet.
  scaling {
    max_instance_count = var.max_instances
  }

  template {
    service_account                  = local.account
    timeout                          = "${var.timeout_seconds}s"
    max_instance_request_concurrency = var.concurrency
    execution_environment            = "EXECUTION_ENVIRONMENT_GEN2" # the memory's limit is a child's, too, and /tmp can be bounded

    scaling {
      min_instance_count = var.min_instances
      max_instance_count = var.max_instances
    }

    dynamic "vpc_access" {
      for_each = var.database ? [var.deployment.subnetwork] : []
      content {
        egress = "PRIVATE_RANGES_ONLY"
        network_interfaces {
          subnetwork = vpc_access.value
        }
      }
    }

    containers {
      image = local.image

      ports {
        name           = "http1"
        container_port = 8080
      }

      resources {
        limits            = { cpu = tostring(var.cpu), memory = "${var.memory_mib}Mi" }
        cpu_idle          = !var.cpu_always
        startup_cpu_boost = true
      }

      startup_probe {
        http_get { path = "/healthz" }
        period_seconds    = 1
        timeout_seconds   = 1
        failure_threshold = 30
      }

      liveness_probe {
        http_get { path = "/healthz" }
        period_seconds    = 30
        timeout_seconds   = 5
        failure_threshold = 3
      }

      dynamic "env" {
        for_each = local.environment
        content {
          name  = env.key
          value = env.value
        }
      }

      dynamic "env" {
        for_each = var.secrets
        content {
          name = env.key
          value_source {
            secret_key_ref {
              secret  = env.value
              version = "latest"
            }
          }
        }
      }

      dynamic "volume_mounts" {
        for_each = var.scratch_mib > 0 ? ["/tmp"] : []
        content {
          name       = "scratch"
          mount_path = volume_mounts.value
        }
      }
    }

    dynamic "volumes" {
      for_each = var.scratch_mib > 0 ? ["scratch"] : []
      content {
        name = volumes.value
        empty_dir {
          medium     = "MEMORY"
          size_limit = "${var.scratch_mib}Mi"
        }
      }
    }
  }

  # Which revision serves is the pipeline's: it moves people over when the new one has
  # passed its smoke test (scripts/release.sh). The first one serves at once. And gcloud, by
  # which scripts change a service, leaves marks on it.
  lifecycle {
    ignore_changes = [traffic, client, client_version, template[0].labels]
  }

  depends_on = [google_secret_manager_secret_iam_member.reader]
}
