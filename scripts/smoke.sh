#!/usr/bin/env bash
# Tries the newest revision of each function by an address of its own, which nobody else
# knows, before it serves anybody. A function that a queue, an event or the scheduler
# calls has passed when it has started: Cloud Run has asked its start-up probe.
# What fails leaves all as it was for those who call, with exit code 1.
# Usage: PROJECT=lectern-prod scripts/smoke.sh              all that do not serve yet
#        scripts/smoke.sh FUNCTION https://…                one, wherever it is
# PROBE_KEY, a credential of the API with the scope chat, has the chat answer, too, as
# does PROBE_SECRET, the name of the secret that holds it.
cd "$(dirname "$0")/.."

# ask calls and holds the answer against what it should be.
ask() { # status, media type, path, what the body has
  local answer body
  body=$(mktemp)
  for attempt in 1 2 3 4 5; do # the first requests may meet an instance that starts, or an address that is not known everywhere yet
    answer=$(curl -sS --max-time 30 -o "$body" -w '%{http_code} %{content_type}' "$url$3" 2>&1) || true
    if [[ "$answer" == "$1 $2"* ]] && { [ -z "$4" ] || grep -q "$4" "$body"; }; then
      echo "  $3: $answer"
      rm -f "$body"
      return
    fi
    sleep "${SMOKE_PAUSE:-$attempt}"
  done
  echo "✗ $url$3 should be $1 $2 with $4, and is: $answer" >&2
  head -c 500 "$body" >&2
  rm -f "$body"
  return 1
}

try() { # function, url
  local url=$2
  echo "→ trying $1 at $url"
  ask 200 '' /health '' || return
  case $1 in
    web)
      ask 200 text/html /sign-in '<form' || return
      ask 200 application/ /openapi.json '"/v1/courses"' || return ;; # through auth, chat and courses
    auth) ask 401 application/problem+json /v1/auth/me '"status":401' || return ;;
    chat) ask 401 application/problem+json /v1/chat/sessions '"status":401' || return ;;
    courses) ask 401 application/problem+json /v1/courses '"status":401' || return ;;
  esac
  [ "$1" = web ] || ask 200 application/ /openapi.json '"openapi"' || return
  [ "$1" != chat ] || [ -z "${PROBE_KEY:-}" ] || chats "$url"
}

chats() { # by the probe that was built beside, or from its source
  local probe=.release/probe
  [ -x "$probe" ] || probe="go run ./functions/chat/probe"
  $probe -url "$1" -n 0 -max-calls 40
}

if [[ $# -gt 0 && $1 != -h && $1 != --help ]]; then
  set -euo pipefail
  : "${2:?is the address, such as https://lectern-chat-1234.europe-west1.run.app}"
  try "$1" "$2"
  exit
fi

source scripts/deployment.sh
trap '[ $? = 0 ] || back' EXIT
if [ -n "${PROBE_SECRET:-}" ]; then
  PROBE_KEY=$(gcloud secrets versions access latest --secret="$PROBE_SECRET")
  export PROBE_KEY
fi
rm -f .release/passed/*
released=$(recall released.json)
look
candidates=()
for function in "${functions[@]}"; do
  there "$function" || die "$NAME-$function was not deployed."
  candidate=$(newest "$function")
  if [ -n "$released" ] && [ "$(serving "$function")" = "$candidate" ]; then
    echo "$candidate" >.release/passed/"$function"
    continue
  fi
  candidates+=("$function")
  ready=$(started "$candidate")
  [[ "$ready" == True* ]] || die "$candidate does not start: $ready"
  say "$candidate has started"
  if reached "$function"; then
    gcloud run services update-traffic "$NAME-$function" --update-tags="candidate=$candidate"
  fi
done
[ ${#candidates[@]} -gt 0 ] || { say "Nothing is new."; exit; }
look
for function in "${candidates[@]}"; do
  if reached "$function"; then
    try "$function" "$(tagged "$function")"
  fi
  newest "$function" >.release/passed/"$function"
done
