# Which image each function runs is kept beside the state, by the pipeline, so that an
# apply by hand changes no release. Before the first release there is none, and no function.
data "google_storage_bucket_objects" "releases" {
  bucket = local.state_bucket
  prefix = "${var.name}/images.json"
}

data "google_storage_bucket_object_content" "images" {
  count = length(data.google_storage_bucket_objects.releases.bucket_objects) > 0 ? 1 : 0

  bucket = local.state_bucket
  name   = "${var.name}/images.json"
}

locals {
  state_bucket = coalesce(var.state_bucket, "${var.project}-terraform")
  images       = merge(try(jsondecode(one(data.google_storage_bucket_object_content.images[*].content)), {}), var.images)
}
