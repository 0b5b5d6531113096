# Functions reach the database by its private address, and the world by the platform's:
# nothing in this network has an address that the world could reach, or goes out by a NAT
# that would cost money. Nothing may come in: what a network has no rule for, it refuses.
resource "google_compute_network" "this" {
  name                    = var.name
  auto_create_subnetworks = false
  depends_on              = [google_project_service.api]
}

resource "google_compute_subnetwork" "functions" {
  name                     = "${var.name}-functions"
  network                  = google_compute_network.this.id
  region                   = var.region
  ip_cidr_range            = "10.8.0.0/22" # Cloud Run takes two addresses an instance, and keeps those of old revisions for a while
  private_ip_google_access = true
}

# Where Cloud SQL's own network is joined to ours.
resource "google_compute_global_address" "services" {
  name          = "${var.name}-services"
  network       = google_compute_network.this.id
  purpose       = "VPC_PEERING"
  address_type  = "INTERNAL"
  prefix_length = 20
}

# Cloud SQL holds it for days after the last database went, so that Terraform can only let go
# of it; the network does not go while there is a peering: docs/operations.md, "Destroy".
resource "google_service_networking_connection" "services" {
  network                 = google_compute_network.this.id
  service                 = "servicenetworking.googleapis.com"
  reserved_peering_ranges = [google_compute_global_address.services.name]
  deletion_policy         = "ABANDON"
  update_on_creation_fail = true # the peering may still be there when everything is made anew
}
