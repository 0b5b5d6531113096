#!/usr/bin/env bash
# Waits until no older build of the same trigger is under way, so that pushes are released
# one after the other and in their order. A build that was killed holds nobody up.
# Usage: PROJECT=… BUILD_ID=… TRIGGER=… scripts/turn.sh    (the trigger's name; Cloud Build gives all three)
cd "$(dirname "$0")/.."
source scripts/deployment.sh
: "${BUILD_ID:?is the id of this build}"
[ -n "${TRIGGER:-}" ] || { say "No trigger has started this build: nobody is waited for."; exit; }
mine=$(gcloud builds describe "$BUILD_ID" --region="$REGION" --format='value(createTime)')
while true; do
  older=$(gcloud builds list --ongoing --region="$REGION" --format='value(id)' \
    --filter="substitutions.TRIGGER_NAME=$TRIGGER AND createTime<\"$mine\"")
  [ -n "$older" ] || break
  say "waiting for ${older//$'\n'/, }"
  sleep "${TURN_PAUSE:-15}"
done
