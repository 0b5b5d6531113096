#!/usr/bin/env bash
# Deploys the images of this commit, and all that terraform/ says, to nobody yet: traffic
# is held by the revisions that serve, and scripts/smoke.sh looks at the new ones.
# Usage: PROJECT=lectern-prod scripts/apply.sh
cd "$(dirname "$0")/.."
source scripts/deployment.sh

images=$(made)
trap '[ $? = 0 ] || back' EXIT # what was deployed so far serves nobody
want "$images"
code=0
terraform_with plan -detailed-exitcode || code=$?
case $code in
  0) say "There is nothing to deploy."; exit ;;
  2) ;;
  *) exit "$code" ;;
esac

# Terraform writes back the traffic that it finds: it is held before it looks again.
look
for function in "${functions[@]}"; do
  if divided "$function"; then
    die "$NAME-$function is served by several revisions: give all to one (gcloud run services update-traffic)."
  elif follows "$function"; then
    say "holding $NAME-$function at $(serving "$function")"
    gcloud run services update-traffic "$NAME-$function" --to-revisions="$(serving "$function")=100"
  fi
done

say "applying terraform/ to $PROJECT as $NAME"
terraform_with apply -auto-approve
