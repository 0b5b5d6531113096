output "public_url" {
  description = "Where people find Lectern."
  value       = local.public_url
}

output "urls" {
  description = "The address of each function."
  value       = local.urls
}

output "functions" {
  description = "Functions that are deployed."
  value       = sort(setsubtract(keys(local.images), ["migrate"]))
}

output "bucket" {
  description = "The bucket of documents and films."
  value       = google_storage_bucket.media.name
}

output "database" {
  description = "The database as Cloud SQL's connectors name it."
  value       = local.cloudsql_instance
}

output "registry" {
  description = "Where images are pushed to."
  value       = "${var.region}-docker.pkg.dev/${var.project}/${google_artifact_registry_repository.images.repository_id}"
}

output "dns" {
  description = "Records of public_url's host that lead to the load balancer; empty without one."
  value       = { for kind, address in google_compute_global_address.front : kind == "IPV4" ? "A" : "AAAA" => address.address }
}

output "next" {
  description = "What is left to do, as commands."
  value = concat(
    [for kind, address in google_compute_global_address.front : "# DNS: ${local.host} ${kind == "IPV4" ? "A" : "AAAA"} ${address.address}"],
    [for secret in sort(local.secrets_given) :
      "printf %s \"$VALUE\" | gcloud secrets versions add ${google_secret_manager_secret.this[secret].secret_id} --project=${var.project} --data-file=- # then ${local.secrets_given_by[secret]} = true, and terraform apply"
    if !local.secrets_filled[secret]],
    length(local.images) > 0 ? [] : [
      var.repository == null ? "PROJECT=${var.project} NAME=${var.name} REGION=${var.region} STATE_BUCKET=${local.state_bucket} scripts/release.sh" : "git commit --allow-empty -m 'Go live' && git push origin HEAD:${var.repository.branch}",
    ],
    var.root_email == "" ? [] : ["gcloud secrets versions access latest --secret=${google_secret_manager_secret.this["root_password"].secret_id} --project=${var.project} # the password of ${var.root_email} at ${local.public_url}"],
  )
}
