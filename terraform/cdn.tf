# A load balancer before web, where there is one: people come by public_url's host, and what
# web calls public and immutable, its static files, is answered by the CDN near them. Pages
# and the API are no-store, and pass through it.
#
# Films are not cached by it. The bucket is closed to everybody without a signature, a CDN
# would have to sign addresses of its own, and one that is signed for one person is asked
# for by one person: they come from Cloud Storage itself, which answers ranges.
#
# Web is then only reached through it: by Cloud Run's address somebody could name any
# address as their own, one place further back than is trusted (TRUSTED_HOPS).
locals {
  front = toset(var.load_balancer ? ["web"] : [])
  host  = trimprefix(local.public_url, "https://")

  web_ingress      = var.load_balancer ? "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER" : "INGRESS_TRAFFIC_ALL"
  web_trusted_hops = var.load_balancer ? "2" : "1"
}

resource "google_compute_region_network_endpoint_group" "front" {
  for_each = local.front

  name                  = "${var.name}-${each.key}"
  region                = var.region
  network_endpoint_type = "SERVERLESS"
  cloud_run {
    service = "${var.name}-${each.key}"
  }
  depends_on = [google_project_service.api]
}

resource "google_compute_backend_service" "front" {
  for_each = local.front

  name                  = "${var.name}-${each.key}"
  load_balancing_scheme = "EXTERNAL_MANAGED"
  protocol              = "HTTPS"
  enable_cdn            = true
  cdn_policy {
    cache_mode = "USE_ORIGIN_HEADERS" # nothing that web does not call public
  }
  backend {
    group = google_compute_region_network_endpoint_group.front[each.key].id
  }
}

resource "google_compute_url_map" "front" {
  for_each = local.front

  name            = "${var.name}-${each.key}"
  default_service = google_compute_backend_service.front[each.key].id
}

# Whoever comes without TLS is sent to where there is.
resource "google_compute_url_map" "to_https" {
  for_each = local.front

  name = "${var.name}-to-https"
  default_url_redirect {
    https_redirect         = true
    redirect_response_code = "MOVED_PERMANENTLY_DEFAULT"
    strip_query            = false
  }
  depends_on = [google_project_service.api]
}

# It is issued once the host's name leads here (the output dns), which takes up to an hour.
resource "google_compute_managed_ssl_certificate" "front" {
  for_each = local.front

  name = "${var.name}-${substr(sha256(local.host), 0, 8)}" # another host has another one, beside it
  managed {
    domains = [local.host]
  }
  lifecycle {
    create_before_destroy = true
  }
  depends_on = [google_project_service.api]
}

resource "google_compute_ssl_policy" "front" {
  for_each = local.front

  name            = var.name
  profile         = "MODERN"
  min_tls_version = "TLS_1_2"
  depends_on      = [google_project_service.api]
}

resource "google_compute_target_https_proxy" "front" {
  for_each = local.front

  name             = "${var.name}-${each.key}"
  url_map          = google_compute_url_map.front[each.key].id
  ssl_certificates = [google_compute_managed_ssl_certificate.front[each.key].id]
  ssl_policy       = google_compute_ssl_policy.front[each.key].id
}

resource "google_compute_target_http_proxy" "to_https" {
  for_each = local.front

  name    = "${var.name}-to-https"
  url_map = google_compute_url_map.to_https[each.key].id
}

# Five rules cost as much as one: these are four.
resource "google_compute_global_address" "front" {
  for_each = var.load_balancer ? toset(["IPV4", "IPV6"]) : toset([])

  name       = "${var.name}-front-${lower(each.key)}"
  ip_version = each.key
  depends_on = [google_project_service.api]
}

resource "google_compute_global_forwarding_rule" "https" {
  for_each = google_compute_global_address.front

  name                  = "${var.name}-https-${lower(each.key)}"
  load_balancing_scheme = "EXTERNAL_MANAGED"
  ip_address            = each.value.id
  port_range            = "443"
  target                = google_compute_target_https_proxy.front["web"].id
}

resource "google_compute_global_forwarding_rule" "http" {
  for_each = google_compute_global_address.front

  name                  = "${var.name}-http-${lower(each.key)}"
  load_balancing_scheme = "EXTERNAL_MANAGED"
  ip_address            = each.value.id
  port_range            = "80"
  target                = google_compute_target_http_proxy.to_https["web"].id
}
