# What all of the project costs, other Lecterns in it included: whoever pays is told, and
# docs/runbook/cloud-bill.md says what to do. Nothing is switched off by it.
resource "google_billing_budget" "this" {
  count = var.billing_account == "" ? 0 : 1

  billing_account = var.billing_account
  display_name    = "Lectern (${var.name})"

  budget_filter {
    projects               = ["projects/${data.google_project.this.number}"]
    credit_types_treatment = "INCLUDE_ALL_CREDITS" # what is free is not spent
    calendar_period        = "MONTH"
  }

  amount {
    specified_amount {
      units = tostring(var.monthly_budget) # in the account's own currency
    }
  }

  dynamic "threshold_rules" {
    for_each = [
      { share = 0.5, basis = "CURRENT_SPEND" },
      { share = 0.9, basis = "CURRENT_SPEND" },
      { share = 1.0, basis = "CURRENT_SPEND" },
      { share = 1.0, basis = "FORECASTED_SPEND" },
    ]
    content {
      threshold_percent = threshold_rules.value.share
      spend_basis       = threshold_rules.value.basis
    }
  }

  # The account's administrators are told in any case; five channels are the most.
  dynamic "all_updates_rule" {
    for_each = length(var.alert_emails) > 0 ? [slice([for channel in google_monitoring_notification_channel.email : channel.id], 0, min(5, length(var.alert_emails)))] : []
    content {
      monitoring_notification_channels = all_updates_rule.value
    }
  }

  depends_on = [google_project_service.api]
}
