#!/usr/bin/env bash
# A whole release by hand: what cloudbuild.yaml does, but for its checks. It may be
# killed anywhere and started again.
# Usage: PROJECT=lectern-prod scripts/release.sh
cd "$(dirname "$0")/.."
source scripts/deployment.sh
scripts/touched.sh
scripts/images.sh
scripts/migrate.sh
scripts/apply.sh
scripts/smoke.sh
scripts/traffic.sh
