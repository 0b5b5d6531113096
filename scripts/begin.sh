#!/usr/bin/env bash
# Makes what Terraform needs before it can begin, and nothing that is there already: APIs;
# the bucket of its state, which nobody may make public and which keeps every version;
# terraform/backend.hcl, which names it; and terraform/terraform.tfvars, from its example.
# Usage: PROJECT=lectern-prod [NAME=lectern] [REGION=europe-west1] scripts/begin.sh
cd "$(dirname "$0")/.."
source scripts/deployment.sh
# Google Cloud says that an API is on some minutes before it is, and makes Eventarc's agent
# with the first trigger, which then fails for want of it: by the first apply both are there.
say "project $PROJECT: the APIs of terraform/apis.tf"
gcloud services enable serviceusage.googleapis.com # by which all others are switched on
grep -oE '"[a-z]+",' terraform/apis.tf | sed -E 's/"([a-z]+)",/\1.googleapis.com/' | xargs -n 20 gcloud services enable # twenty at once are the most
say "the agents that carry events of the bucket to finalize"
gcloud beta services identity create --service=pubsub.googleapis.com >/dev/null
gcloud beta services identity create --service=eventarc.googleapis.com >/dev/null
number=$(gcloud projects describe "$PROJECT" --format='value(projectNumber)')
gcloud projects add-iam-policy-binding "$PROJECT" --condition=None --role=roles/eventarc.serviceAgent \
  --member="serviceAccount:service-$number@gcp-sa-eventarc.iam.gserviceaccount.com" --format=none
# The project's own are asked: a bucket of that name may be somebody else's, who would then
# say which images run here.
there=$(gcloud storage buckets list --filter="name=$STATE_BUCKET" --format='value(name)')
if [ -n "$there" ]; then
  say "gs://$STATE_BUCKET is there"
else
  say "making gs://$STATE_BUCKET in $REGION"
  gcloud storage buckets create "gs://$STATE_BUCKET" --location="$REGION" \
    --uniform-bucket-level-access --public-access-prevention
fi
# Each time, in case somebody has come between. Old states go after a hundred newer ones and 90 days.
lifecycle=.release/lifecycle.json
echo '{"rule": [{"action": {"type": "Delete"}, "condition": {"numNewerVersions": 100, "daysSinceNoncurrentTime": 90}}]}' >$lifecycle
gcloud storage buckets update "gs://$STATE_BUCKET" --versioning --uniform-bucket-level-access --public-access-prevention --lifecycle-file=$lifecycle
say "writing terraform/backend.hcl"
printf 'bucket = "%s"\nprefix = "%s"\n' "$STATE_BUCKET" "$NAME/terraform" >terraform/backend.hcl
if [ ! -e terraform/terraform.tfvars ]; then
  say "writing terraform/terraform.tfvars"
  sed -E "s|^project = .*|project = \"$PROJECT\"|; s|^# region = .*|region  = \"$REGION\"|; s|^# name +=.*|name    = \"$NAME\"|" terraform/terraform.tfvars.example >.release/tfvars
  [ "$STATE_BUCKET" = "$PROJECT-terraform" ] || printf '\nstate_bucket = "%s"\n' "$STATE_BUCKET" >>.release/tfvars
  mv .release/tfvars terraform/terraform.tfvars
fi
cat <<TEXT
Next: say what is yours in terraform/terraform.tfvars, and then
  terraform -chdir=terraform init -reconfigure -backend-config=backend.hcl
  terraform -chdir=terraform apply
TEXT
