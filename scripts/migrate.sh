#!/usr/bin/env bash
# Brings the database up to date by the job NAME-migrate, before any function that needs
# it: migrations only add (expand first), so that what serves goes on. Two at once wait
# for each other, and one that was killed goes on where it was.
# Usage: PROJECT=lectern-prod scripts/migrate.sh            unless the last release had the same
#        PROJECT=lectern-prod scripts/migrate.sh --always
cd "$(dirname "$0")/.."
source scripts/deployment.sh
image=$(made | image_of migrate)
[ -n "$image" ] || die "There is no image of migrate: scripts/images.sh migrate makes it."

released=$(recall released.json | from_json | image_of migrate)
if [ "${1:-}" != --always ] && [ "$released" = "$image" ]; then
  say "The database has the migrations of this commit since the last release."
  exit
fi
job=$(gcloud run jobs list --region="$REGION" --filter="metadata.name=$NAME-migrate" --format='value(metadata.name)')
if [ -z "$job" ]; then
  # The first release: a job wants an image, and functions want the job to have run. With
  # migrate's image alone Terraform makes the job and no function.
  say "making the job $NAME-migrate"
  want "migrate $image"
  terraform_with apply -auto-approve
else
  say "giving the job $NAME-migrate the image $image"
  gcloud run jobs update "$NAME-migrate" --image="$image"
fi
say "executing $NAME-migrate"
gcloud run jobs execute "$NAME-migrate" --wait
