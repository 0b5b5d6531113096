#!/usr/bin/env bash
# Replaces a secret, without anybody noticing: a new version, then new instances that read
# it. No secret is printed, and none is on a command line.
# Usage: PROJECT=lectern-prod scripts/rotate.sh cookie_keys|gateway_key
#            a new key comes first; what the one before has made is taken as well
#        PROJECT=lectern-prod scripts/rotate.sh root_password
#            another one; root is signed out, and the old one is no longer taken
#        PROJECT=lectern-prod scripts/rotate.sh openai_api_key|backup_api_key|smtp_password|dreambridge_secret|probe_key <FILE
#            the one that its server has given out; - without a file it is typed, unseen
#        PROJECT=lectern-prod scripts/rotate.sh --finish SECRET
#            when all is well, 90 days later for cookie_keys: the key before is no longer taken, older versions are disabled
#        PROJECT=lectern-prod scripts/rotate.sh --again SECRET
#            no new version, only the instances: goes on with what was interrupted
cd "$(dirname "$0")/.."
set +x # what is shown here would be secrets
source scripts/deployment.sh

# Who reads a secret. Those that only check what a key has made come before who makes it.
declare -A readers=(
  [cookie_keys]="chat courses auth"
  [gateway_key]="auth chat courses web"
  [openai_api_key]="chat generate render"
  [backup_api_key]="chat generate"
  [smtp_password]="auth sweep"
  [root_password]=migrate
  [dreambridge_secret]=migrate
  [probe_key]=""
)
kind=add
case ${1:-} in
  --finish | --again) kind=${1#--}; shift ;;
esac
what=${1:-}
if [ $# -ne 1 ] || [ -z "$what" ] || [ -z "${readers[$what]+known}" ]; then
  die "Which secret? $(printf '%s\n' "${!readers[@]}" | sort | tr '\n' ' ')"
fi
secret=$NAME-${what//_/-}

newest_version() { gcloud secrets versions access latest --secret="$secret"; }
add_version() { gcloud secrets versions add "$secret" --data-file=- >/dev/null; } # from stdin
fresh() { head -c 32 /dev/urandom | base64 | tr '+/' '-_' | tr -d '=\n'; }

given() {
  local value
  if [ -t 0 ]; then
    read -rsp "$what: " value
    echo >&2
  else
    value=$(cat)
  fi
  [ -n "$value" ] || die "There is no secret on the standard input."
  [[ "$value" != *$'\n'* ]] || die "A secret is one line."
  printf %s "$value"
}

version() {
  local keys value
  case $what in
    cookie_keys | gateway_key)
      keys=$(newest_version)
      [[ "$keys" != *,* ]] || die "There are two keys: somebody has begun. Go on with rotate.sh --again $what, or end it with --finish."
      say "a new key comes first in $secret"
      printf '%s,%s' "$(fresh)" "$keys" | add_version
      ;;
    root_password)
      say "a new password in $secret"
      printf %s "$(fresh)" | add_version
      ;;
    *)
      value=$(given)
      say "a new version of $secret"
      printf %s "$value" | add_version
      ;;
  esac
}

# roll has new instances read the newest version: the same revision again, but for a label.
roll() {
  local function service before
  if [ "${readers[$what]}" = migrate ]; then
    say "executing $NAME-migrate"
    gcloud run jobs execute "$NAME-migrate" --wait
    return
  fi
  look
  for function in ${readers[$what]}; do
    there "$function" || continue
    follows "$function" || [ "$(newest "$function")" = "$(serving "$function")" ] ||
      die "$NAME-$function has a newer revision than the one that serves: end that release by another one, or by terraform apply, scripts/smoke.sh and scripts/traffic.sh; what serves then reads the new version, too."
  done
  for function in ${readers[$what]}; do
    there "$function" || continue
    service=$NAME-$function before=$(serving "$function")
    say "new instances of $service"
    gcloud run services update "$service" --update-labels="rotated=$(date -u +%Y%m%d-%H%M%S)" >/dev/null
    look
    [[ "$(started "$(newest "$function")")" == True* ]] || die "$(newest "$function") does not start; $before serves on, with what it has read."
    follows "$function" || gcloud run services update-traffic "$service" --to-revisions="$(newest "$function")=100" >/dev/null
  done
}

# retire leaves the newest version alone.
retire() {
  local versions number
  versions=$(gcloud secrets versions list "$secret" --filter=state=ENABLED --sort-by=~createTime --format='value(name.basename())')
  for number in $(tail -n +2 <<<"$versions"); do
    say "disabling version $number of $secret"
    gcloud secrets versions disable "$number" --secret="$secret" >/dev/null
  done
}

case $kind in
  add)
    version
    roll
    case $what in
      cookie_keys) say "Done. Who was signed in still is. In 90 days, when the last cookie of the old key is gone: rotate.sh --finish $what" ;;
      root_password) say "Done. It is read with: gcloud secrets versions access latest --secret=$secret --project=$PROJECT" ;;
      *) say "Done. When all is well: rotate.sh --finish $what" ;;
    esac
    ;;
  again) roll ;;
  finish)
    case $what in
      cookie_keys | gateway_key)
        keys=$(newest_version)
        if [[ "$keys" == *,* ]]; then
          say "the newest key alone in $secret"
          printf %s "${keys%%,*}" | add_version
        fi
        roll
        ;;
    esac
    retire
    ;;
esac
