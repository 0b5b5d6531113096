#!/usr/bin/env bash
# Makes the images of functions and of migrate, where the registry does not have them,
# and writes their digests to .release/images/.
# Usage: PROJECT=lectern-prod scripts/images.sh [FUNCTION…]     all, without a name
# It wants docker with buildx, who may push, and .release/sources (scripts/touched.sh).
cd "$(dirname "$0")/.."
source scripts/deployment.sh
[ -s .release/sources ] || die "Nobody has said what images are made from: scripts/touched.sh does."

# digest prints an image's, or nothing where there is none of that name.
digest() {
  if ! docker buildx imagetools inspect "$1" --format '{{.Manifest.Digest}}' 2>.release/"$function".error; then
    grep -qiE 'not found|manifest unknown|name unknown' .release/"$function".error || { cat .release/"$function".error >&2; return 1; }
  fi
}

# build makes an image that is the same whenever it is made: its times are the commit's.
build() { # function, target, image
  local cache=()
  # Debian's packages are most of the media image, and are fetched once.
  [ "$2" = plain ] || cache=(--cache-from "type=registry,ref=$registry/cache:$2" --cache-to "type=registry,ref=$registry/cache:$2,mode=min")
  SOURCE_DATE_EPOCH=${commit[1]} docker buildx build . \
    --builder lectern --platform linux/amd64 --target "$2" --progress plain \
    --build-arg "FUNCTION=$1" --build-arg "REVISION=${commit[0]}" --build-arg "SOURCE=${commit[2]-}" \
    --build-arg "CREATED=$(date -u -d "@${commit[1]}" +%Y-%m-%dT%H:%M:%SZ)" \
    "${cache[@]}" --provenance=false --sbom=false \
    --output "type=image,name=$3,push=true,rewrite-timestamp=true,oci-mediatypes=true"
}

mapfile -t commit <.release/commit # hash, time, origin
mapfile -t all < <(cut -d' ' -f1 .release/sources)
[ $# -gt 0 ] || set -- "${all[@]}"
for function; do
  read -r _ target name < <(grep "^$function " .release/sources) || die "$function is no function that is deployed."
  image=$registry/$function:$name
  found=$(digest "$image")
  if [ -n "$found" ]; then
    say "$function is not touched: $image is there"
  else
    say "building $image"
    flock .release/builder scripts/builder.sh # once, though ten may want it at the same time
    build "$function" "$target" "$image"
    found=$(digest "$image")
    [ -n "$found" ] || die "$image was pushed, and is not there."
  fi
  echo "$registry/$function@$found" >.release/images/"$function"
  cat .release/images/"$function"
done
