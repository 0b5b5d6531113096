#!/usr/bin/env bash
# Moves everybody over to the revisions that have passed scripts/smoke.sh, those that are
# called before those that call, and notes their images as released. From then on the
# newest revision serves, so that a setting that is applied by hand takes effect.
# Usage: PROJECT=lectern-prod scripts/traffic.sh
cd "$(dirname "$0")/.."
source scripts/deployment.sh
look
for function in "${functions[@]}"; do
  [ -s .release/passed/"$function" ] || die "$function has not passed: scripts/smoke.sh tries it."
  [ "$(newest "$function")" = "$(<.release/passed/"$function")" ] || die "$NAME-$function has a newer revision than the one that has passed: start again with scripts/smoke.sh."
done
for function in "${functions[@]}"; do
  if follows "$function" && [ -z "$(tagged "$function")" ]; then
    continue
  fi
  say "moving $NAME-$function to $(newest "$function")"
  gcloud run services update-traffic "$NAME-$function" --to-latest --remove-tags=candidate
done
images=$(recall images.json)
keep released.json "$images"
say "released: commit $(commit)"
