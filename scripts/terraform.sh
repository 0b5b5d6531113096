#!/usr/bin/env bash
# Checks terraform/: format, types against the provider's schema, its tests with a mocked
# provider, tflint. No account and no cloud. Usage: terraform.sh [arguments of terraform test]
set -euo pipefail
cd "$(dirname "$0")/.."
PATH=$PATH:$PWD/.tools/terraform/bin # setup.sh's, where the machine has none

skip() { # why
  echo "terraform/ is not checked: $1" >&2
  [ -z "${CI:-}" ]
  exit
}

command -v terraform >/dev/null || skip "there is no terraform"

provider=../shared/tools/tfschema/validate.sh # the provider's schema, where it cannot be downloaded
if [ -e "$provider" ]; then
  "$provider" terraform "$@"
else
  terraform -chdir=terraform fmt -check -recursive -diff
  TF_DATA_DIR=$(mktemp -d)
  export TF_DATA_DIR
  trap 'rm -rf "$TF_DATA_DIR"' EXIT
  terraform -chdir=terraform init -backend=false -input=false -no-color >/dev/null || skip "the provider cannot be downloaded"
  terraform -chdir=terraform validate -no-color
  terraform -chdir=terraform test -no-color "$@"
fi

go tool -modfile=tools/tflint.mod tflint --chdir=terraform --recursive --config="$PWD/terraform/.tflint.hcl"
