#!/usr/bin/env bash
# Back to the release before, in seconds: traffic first, by the revisions that are still
# there, then the list of images, so that the next apply deploys them again. A release that
# was stopped in the middle is taken back first; run once more, it goes back one further.
# The database stays: the release before works with it. What was wrong stays in main: the
# next push releases again.
# Usage: PROJECT=lectern-prod scripts/rollback.sh --list       the releases, newest last
#        PROJECT=lectern-prod scripts/rollback.sh [VERSION]    one of them; the one before, without
cd "$(dirname "$0")/.."
source scripts/deployment.sh
about() { gcloud storage objects describe "$kept/released.json#$1" --format="value($2)"; } # version, fields

mapfile -t versions < <(gcloud storage ls --all-versions "$kept/released.json" | sed -n 's/.*#//p' | sort -n)
if [ "${1:-}" = --list ]; then
  for version in "${versions[@]}"; do
    about "$version" generation,creation_time,custom_fields.commit
  done
  exit
fi
[ ${#versions[@]} -gt 0 ] || die "There is no release yet."
current=$(recall released.json)
wanted=$(recall images.json)
version=${1:-}
if [ -z "$version" ] && [ "$wanted" != "$current" ]; then
  version=${versions[-1]}
  say "a release was begun and has not ended"
elif [ -z "$version" ]; then
  of=$(about "${versions[-1]}" custom_fields.again) # the release that serves may be an older one, again
  for older in "${versions[@]}"; do
    [ "$older" -ge "${of:-${versions[-1]}}" ] || version=$older
  done
  [ -n "$version" ] || die "There is no release before this one."
fi
wanted=$(recall "released.json#$version" | from_json)
[ -n "$wanted" ] || die "There is no release $version: rollback.sh --list has them."

say "back to release $version"
look
gcloud run revisions list --region="$REGION" --sort-by='~metadata.creationTimestamp' --flatten='status.conditions[]' \
  --filter='status.conditions.type=Ready AND status.conditions.status=True' \
  --format='csv[no-heading](metadata.name,spec.containers[0].image)' >.release/revisions
declare -A to=()
for function in "${functions[@]}"; do
  image=$(image_of "$function" <<<"$wanted")
  [ -n "$image" ] || continue # it is younger than that release
  revisions=$(awk -F, -v image="$image" '$2 == image { print $1 }' .release/revisions)
  [ -n "$revisions" ] || die "$NAME-$function has no revision of $image any more, and nobody was moved: release that commit again."
  grep -qxF "$(serving "$function")" <<<"$revisions" || to[$function]=${revisions%%$'\n'*}
done
for ((i = ${#functions[@]} - 1; i >= 0; i--)); do # those that call before those that are called
  function=${functions[i]}
  [ -n "${to[$function]:-}" ] || continue
  say "moving $NAME-$function to ${to[$function]}"
  gcloud run services update-traffic "$NAME-$function" --to-revisions="${to[$function]}=100"
done
migrate=$(from_json <<<"$current" | image_of migrate)
images=$(printf '%s\nmigrate %s\n' "$wanted" "$migrate" | merge | to_json)
again=$(about "$version" custom_fields.again)
commit=$(about "$version" custom_fields.commit)
# What serves is noted first: killed in between and run once more, it goes on to that, and not back to what was bad.
keep released.json "$images" "commit=$commit,again=${again:-$version}"
keep images.json "$images" "commit=$commit"
say "Settings that are applied from now on wait for the next release, or for scripts/smoke.sh and scripts/traffic.sh."
