#!/usr/bin/env bash
# Connects Cloud Build with the repository on GitHub whose pushes are to be released, and
# says what to put into terraform.tfvars. Somebody is asked in a browser, twice: that Cloud
# Build may read in their name, and which repositories. What is there already is left alone.
# Usage: PROJECT=lectern-prod [NAME=lectern] [REGION=europe-west1] scripts/connect.sh https://github.com/OWNER/REPOSITORY.git
cd "$(dirname "$0")/.."
source scripts/deployment.sh
remote=${1:-}
[[ "$remote" =~ ^https://github\.com/[^/]+/[^/]+\.git$ ]] || die "Which repository? Such as: $0 https://github.com/OWNER/REPOSITORY.git"
repository=$(basename "$remote" .git)

state() { # of the connection: stage and address, or nothing where there is none
  local said
  if said=$(gcloud builds connections describe "$NAME" --region="$REGION" --format='csv[no-heading](installationState.stage,installationState.actionUri)' 2>.release/error); then
    echo "$said"
  elif ! grep -qiE 'NOT_FOUND|not found' .release/error; then
    cat .release/error >&2
    return 1
  fi
}

say "project $PROJECT: Cloud Build, and its right to keep the connection's token as a secret"
gcloud services enable cloudbuild.googleapis.com secretmanager.googleapis.com
gcloud beta services identity create --service=cloudbuild.googleapis.com >/dev/null
number=$(gcloud projects describe "$PROJECT" --format='value(projectNumber)')
gcloud projects add-iam-policy-binding "$PROJECT" --condition=None --role=roles/secretmanager.admin \
  --member="serviceAccount:service-$number@gcp-sa-cloudbuild.iam.gserviceaccount.com" --format=none

now=$(state)
if [ -z "$now" ]; then
  say "making the connection $NAME"
  gcloud builds connections create github "$NAME" --region="$REGION" --format=none
  now=$(state)
fi
shown=
while [ "${now%%,*}" != COMPLETE ]; do
  if [ "${now#*,}" != "$shown" ]; then
    shown=${now#*,}
    say "open $shown"
  fi
  sleep "${CONNECT_PAUSE:-5}"
  now=$(state)
done

if gcloud builds repositories describe "$repository" --connection="$NAME" --region="$REGION" --format='value(name)' >/dev/null 2>.release/error; then
  say "$remote is connected"
elif grep -qiE 'NOT_FOUND|not found' .release/error; then
  say "connecting $remote"
  gcloud builds repositories create "$repository" --connection="$NAME" --region="$REGION" --remote-uri="$remote" --format=none
else
  cat .release/error >&2
  exit 1
fi
cat <<TEXT
In terraform/terraform.tfvars:
  repository = { connection = "$NAME", name = "$repository" }
TEXT
