output "service" {
  description = "Name of the service; null while it is not there."
  value       = one(google_cloud_run_v2_service.this[*].name)
}

output "environment" {
  description = "Names of all settings that it gets, so that tests compare them with what the function reads."
  value       = sort(concat(keys(var.environment), keys(var.secrets)))
}
