# The variables of the last apply by hand lie beside the state, where the pipeline takes
# them from: a push changes none of them, and nobody has to commit what is one Lectern's own.
# Images are not among them: which ones run, the pipeline says itself.
resource "google_storage_bucket_object" "variables" {
  bucket       = local.state_bucket
  name         = "${var.name}/variables.json"
  content_type = "application/json"
  content = jsonencode({
    alert_emails              = var.alert_emails
    alerts_off                = var.alerts_off
    backup                    = var.backup
    billing_account           = var.billing_account
    budget                    = var.budget
    chat_limits               = var.chat_limits
    cost_assumptions          = var.cost_assumptions
    database                  = var.database
    deleted_days              = var.deleted_days
    domain_restricted         = var.domain_restricted
    dreambridge               = var.dreambridge
    instances                 = var.instances
    job_limits                = var.job_limits
    load_balancer             = var.load_balancer
    log_level                 = var.log_level
    mail                      = var.mail
    model                     = var.model
    monthly_budget            = var.monthly_budget
    name                      = var.name
    objectives                = var.objectives
    pipeline_changes_platform = var.pipeline_changes_platform
    probe_has_key             = var.probe_has_key
    project                   = var.project
    protected                 = var.protected
    public_url                = var.public_url
    region                    = var.region
    repository                = var.repository
    root_email                = var.root_email
    state_bucket              = var.state_bucket
    sweep_minutes             = var.sweep_minutes
    traces_ratio              = var.traces_ratio
    trusted_origins           = var.trusted_origins
    uptime_checks             = var.uptime_checks
    verify_email              = var.verify_email
    warm                      = var.warm
  })
}
