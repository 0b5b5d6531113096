output "service" {
  description = "Name of the service; null while it is not there."
  value       = one(google_cloud_run_v2_service.this[*].name)
}

output "url" {
  description = "The address that Cloud Run made up, in which a hash of the project stands; null while the service is not there."
  value       = one(google_cloud_run_v2_service.this[*].uri)
}

output "environment" {
  description = "What it is told in the clear, as its revision has it."
  value = { for e in try(google_cloud_run_v2_service.this[0].template[0].containers[0].env, []) :
  e.name => e.value if length(e.value_source) == 0 }
}

output "secrets" {
  description = "What it is told in secret: from settings to secrets."
  value = { for e in try(google_cloud_run_v2_service.this[0].template[0].containers[0].env, []) :
  e.name => e.value_source[0].secret_key_ref[0].secret if length(e.value_source) > 0 }
}

output "limits" {
  description = "What its instances are bounded by."
  value = {
    concurrency     = var.concurrency
    timeout_seconds = var.timeout_seconds
    memory_mib      = var.memory_mib
    cpu             = var.cpu
    max_instances   = var.max_instances
  }
}

output "invokers" {
  description = "Who may call it, as the service's policy has them."
  value       = sort([for i in google_cloud_run_v2_service_iam_member.invoker : i.member])
}

output "unchecked" {
  description = "Whether Cloud Run lets everybody in without asking for a right."
  value       = one(google_cloud_run_v2_service.this[*].invoker_iam_disabled)
}

output "rights" {
  description = "What it may do, as policies have it: the role, and what it is for."
  value = sort(concat(
    [for i in google_secret_manager_secret_iam_member.reader : "${i.role} ${i.secret_id}"],
    [for i in google_cloud_tasks_queue_iam_member.enqueuer : "${i.role} ${i.name}"],
    [for i in concat(google_project_iam_member.database_client, google_project_iam_member.database_user, google_project_iam_member.live) :
    "${i.role} ${try(i.condition[0].expression, "the project")}"],
    [for i in google_storage_bucket_iam_member.objects : "${i.role} ${try(i.condition[0].expression, "the bucket")}"],
    [for i in google_service_account_iam_member.signer : "${i.role} ${i.service_account_id}"],
  ))
}

output "ingress" {
  description = "From where it is reached."
  value       = one(google_cloud_run_v2_service.this[*].ingress)
}
