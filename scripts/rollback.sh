#!/usr/bin/env bash
# Back to the release before, in seconds: traffic first, by the revisions that are still
# there, then the list of images, so that the next apply deploys them again. The database
# stays: the release before works with it. What was wrong stays in main: the next push
# releases again.
# Usage: PROJECT=lectern-prod scripts/rollback.sh --list       the releases, newest last
#        PROJECT=lectern-prod scripts/rollback.sh [VERSION]    one of them; the one before, without
cd "$(dirname "$0")/.."
source scripts/deployment.sh
mapfile -t versions < <(gcloud storage ls --all-versions "$kept/released.json" | sed -n 's/.*#//p' | sort -n)
if [ "${1:-}" = --list ]; then
  for version in "${versions[@]}"; do
    gcloud storage objects describe "$kept/released.json#$version" --format='value(generation,creation_time,custom_fields.commit)'
  done
  exit
fi
version=${1:-}
[ -n "$version" ] || { [ ${#versions[@]} -ge 2 ] || die "There is no release before this one."; version=${versions[-2]}; }
wanted=$(recall "released.json#$version" | from_json)
[ -n "$wanted" ] || die "There is no release $version: rollback.sh --list has them."
current=$(recall released.json | from_json)

say "back to release $version"
for ((i = ${#functions[@]} - 1; i >= 0; i--)); do # those that call before those that are called
  function=${functions[i]} service=$NAME-${functions[i]}
  image=$(image_of "$function" <<<"$wanted")
  now=$(image_of "$function" <<<"$current")
  if [ -z "$image" ] || [ "$image" = "$now" ]; then
    continue # it is younger than that release, or the same
  fi
  revision=$(gcloud run revisions list --service="$service" --sort-by='~metadata.creationTimestamp' \
    --filter="spec.containers[0].image=\"$image\"" --flatten='status.conditions[]' \
    --format='csv[no-heading](metadata.name,status.conditions.type,status.conditions.status)' | awk -F, '$2 == "Ready" && $3 == "True" && !found++ { print $1 }')
  [ -n "$revision" ] || die "$service has no revision of $image any more: release that commit again."
  say "moving $service to $revision"
  gcloud run services update-traffic "$service" --to-revisions="$revision=100"
done
migrate=$(image_of migrate <<<"$current")
images=$(printf '%s\nmigrate %s\n' "$wanted" "$migrate" | merge | to_json)
keep images.json "$images"
keep released.json "$images"
say "Settings that are applied from now on wait for the next release: scripts/traffic.sh moves people over."
