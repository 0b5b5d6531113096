# shellcheck shell=bash disable=SC2034 # what is not used here is used where it is read
# What the scripts of a release share; each begins with: source scripts/deployment.sh
# They want to know which Lectern it is about:
#   PROJECT       the Google Cloud project; the only one without a default
#   REGION        europe-west1
#   NAME          lectern: what all names begin with
#   STATE_BUCKET  PROJECT-terraform, as scripts/begin.sh makes it
# and keep what they tell each other in .release/. Beside Terraform's state are
#   NAME/images.json    the image of each function that Terraform deploys
#   NAME/released.json  those that serve, since they have passed: what a failed release
#                       goes back to, with every release before it in older versions
set -euo pipefail
shopt -s inherit_errexit
case ${1:-} in
  -h | --help) # of the script that reads this: what it says of itself, and nothing is done
    sed -n '1d; /^#/!q; s/^# \{0,1\}//p' "scripts/$(basename "$0")"
    exit
    ;;
esac
: "${PROJECT:?is the Google Cloud project, such as PROJECT=lectern-prod $0}"
REGION=${REGION:-europe-west1}
NAME=${NAME:-lectern}
STATE_BUCKET=${STATE_BUCKET:-$PROJECT-terraform}
kept="gs://$STATE_BUCKET/$NAME"
registry="$REGION-docker.pkg.dev/$PROJECT/$NAME"
PATH=$PWD/.release/bin:$PATH # where a build has put what its steps need
export CLOUDSDK_CORE_PROJECT=$PROJECT CLOUDSDK_RUN_REGION=$REGION CLOUDSDK_CORE_DISABLE_PROMPTS=1
mkdir -p .release/images .release/passed

# Who is called comes before who calls: a new caller finds a new callee.
functions=(render ingest generate finalize sweep auth courses chat web)

say() { echo "→ $*"; }
die() { echo "✗ $*" >&2; exit 1; }

public() { [[ " auth courses chat web " == *" $1 "* ]]; }
# reached tells whether Cloud Run's address of a function leads to it from here: behind a
# load balancer web's does not (terraform/cdn.tf), and web has passed when it has started.
reached() { public "$1" && ! { [ "$1" = web ] && grep -q '"load_balancer": *true' <<<"$(recall variables.json)"; }; }

# recall prints an object that is kept, or nothing where there is none.
recall() { # name[#version]
  local said
  if said=$(gcloud storage cat "$kept/$1" 2>.release/error); then
    echo "$said"
  elif ! grep -qE 'matched no objects|HTTPError 404' .release/error; then
    cat .release/error >&2
    return 1
  fi
}

# keep writes an object, unless it is so already, or somebody else writes it meanwhile.
keep() { # name, content[, what is noted beside it]
  local now version
  now=$(recall "$1")
  [ "$now" != "$2" ] || return 0
  version=$(gcloud storage objects describe "$kept/$1" --format='value(generation)' 2>.release/error) ||
    grep -qE 'matched no objects|not found|HTTPError 404' .release/error || { cat .release/error >&2; return 1; }
  say "writing $kept/$1"
  echo "$2" | gcloud storage cp - "$kept/$1" --content-type=application/json --quiet \
    --if-generation-match="${version:-0}" --custom-metadata="${3:-commit=$(commit)}"
}

commit() { head -n 1 .release/commit; }

# Lists of images are JSON for Terraform, and lines of "function image" for us.
from_json() { tr ',{}' '\n' | sed -nE 's/^[[:space:]]*"([a-z]+)"[[:space:]]*:[[:space:]]*"([^"]+)"[[:space:]]*$/\1 \2/p'; }
to_json() { sort | awk 'BEGIN { printf "{" } { printf "%s\n  \"%s\": \"%s\"", (NR > 1 ? "," : ""), $1, $2 } END { print "\n}" }'; }
merge() { awk 'NF == 2 { image[$1] = $2 } END { for (f in image) print f, image[f] }'; } # later lines win
image_of() { awk -v of="$1" '$1 == of { print $2 }'; }

# want adds images to those that Terraform deploys.
want() { # lines of "function image"
  local wanted
  wanted=$(recall images.json | from_json)
  wanted=$(printf '%s\n%s\n' "$wanted" "$1" | merge | to_json)
  keep images.json "$wanted"
}

# made lists the images of this commit, as scripts/images.sh has left them.
made() {
  local file
  for file in .release/images/*; do
    [ -e "$file" ] || die "There are no images yet: scripts/images.sh makes them."
    echo "$(basename "$file") $(<"$file")"
  done
}

# look asks who serves: a line for each share of traffic and each tag of each service.
look() {
  gcloud run services list --region="$REGION" --flatten='status.traffic[]' \
    --format='csv[no-heading](metadata.name,status.latestCreatedRevisionName,status.traffic.revisionName,status.traffic.percent,status.traffic.latestRevision,status.traffic.tag,status.traffic.url)' >.release/services
}
# What was seen when somebody looked last, of a function:
there() { grep -q "^$NAME-$1," .release/services; }
newest() { awk -F, -v service="$NAME-$1" '$1 == service { print $2; exit }' .release/services; }
serving() { awk -F, -v service="$NAME-$1" '$1 == service && $4 == 100 { print $3; exit }' .release/services; } # or nothing: none of it has ever started
divided() { awk -F, -v service="$NAME-$1" '$1 == service && $4 > 0 && $4 < 100 { found = 1 } END { exit !found }' .release/services; }
follows() { awk -F, -v service="$NAME-$1" '$1 == service && $3 != "" && $4 == 100 && tolower($5) == "true" { found = 1 } END { exit !found }' .release/services; } # simply the newest serves
tagged() { awk -F, -v service="$NAME-$1" '$1 == service && $6 == "candidate" { print $7; exit }' .release/services; }                                  # its address

# started tells whether a revision could start: True, or False and why.
started() { # revision
  gcloud run revisions describe "$1" --flatten='status.conditions[]' \
    --format='csv[no-heading](status.conditions.type,status.conditions.status,status.conditions.message)' | sed -n 's/^Ready,//p'
}

# back has Terraform deploy again what serves, after a release that has failed.
back() {
  local released
  released=$(recall released.json)
  if [ -n "$released" ]; then
    keep images.json "$released"
    echo "✗ What served before serves on, and images.json names its images again. Settings that are applied wait for the next release, or for scripts/smoke.sh and scripts/traffic.sh." >&2
  else
    echo "✗ There was no release before this one: mend it and start again." >&2
  fi
}

# terraform_with runs a command on what the files in terraform/ say, with the variables
# of the last apply by hand, which lie beside the state.
terraform_with() { # plan|apply, options…
  local command=$1 variables=.release/variables.tfvars.json
  shift
  recall variables.json >$variables || return
  [ -s $variables ] || die "There is no $kept/variables.json: the first terraform apply is by hand, and keeps its variables there."
  terraform -chdir=terraform init -input=false -reconfigure \
    -backend-config="bucket=$STATE_BUCKET" -backend-config="prefix=$NAME/terraform" >.release/init || { cat .release/init >&2; return 1; }
  terraform -chdir=terraform "$command" -input=false -lock-timeout=10m -var-file="$PWD/$variables" "$@"
}
