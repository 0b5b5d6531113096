#!/usr/bin/env bash
# Installs what Lectern needs and this Debian machine lacks; does nothing when all
# is there. Usage: setup.sh run|test|bench
set -euo pipefail
cd "$(dirname "$0")/.."

declare -A package=( # program → Debian package
  [ffmpeg]=ffmpeg [ffprobe]=ffmpeg [espeak-ng]=espeak-ng [pdftohtml]=poppler-utils
)
[ "${1:-run}" = test ] && package[chromium]=chromium package[node]=nodejs package[npm]=npm

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

# The OpenAPI documents are held against the API by schemathesis, which Debian does
# not have. Without a network its test is skipped, but for CI.
contract_tools() {
  local folder=.tools/schemathesis version=4.32.5
  [ "${1:-run}" = test ] && [ ! -e "$folder/$version" ] || return 0
  echo "Installing schemathesis $version …"
  rm -rf "$folder"
  if python3 -m venv "$folder" && "$folder/bin/pip" install -q --disable-pip-version-check "schemathesis==$version"; then
    touch "$folder/$version"
    return 0
  fi
  rm -rf "$folder"
  echo "schemathesis could not be installed." >&2
  [ -z "${CI:-}" ]
}

# What the chat's speed is compared with. Without a network the comparison is left out.
compared_with() {
  local folder=.tools/fastapi versions=(fastapi==0.165.0 uvicorn==0.54.0 uvloop==0.23.0 httptools==0.9.0 httpx==0.28.1)
  [ "${1:-run}" = bench ] && [ ! -e "$folder/${versions[0]}" ] || return 0
  echo "Installing ${versions[*]} …"
  rm -rf "$folder"
  if python3 -m venv "$folder" && "$folder/bin/pip" install -q --disable-pip-version-check "${versions[@]}"; then
    touch "$folder/${versions[0]}"
    return 0
  fi
  rm -rf "$folder"
  echo "FastAPI could not be installed." >&2
}

# What a turn costs is shown beside LangGraph's Postgres checkpointer. Without a
# network that figure is left out.
langgraph() {
  local folder=.tools/langgraph versions=(langgraph==1.2.22 langgraph-checkpoint-postgres==3.2.0 "psycopg[binary]==3.3.9")
  [ "${1:-run}" = bench ] && [ ! -e "$folder/${versions[0]}" ] || return 0
  echo "Installing ${versions[*]} …"
  rm -rf "$folder"
  if python3 -m venv "$folder" && "$folder/bin/pip" install -q --disable-pip-version-check "${versions[@]}"; then
    touch "$folder/${versions[0]}"
    return 0
  fi
  rm -rf "$folder"
  echo "LangGraph could not be installed." >&2
}

# OpenAI's own clients are run against the compatible endpoint: nobody else can say
# what they take. As above without a network.
openai_clients() {
  local folder=.tools/openai python=3.54.0 node=7.57.0
  [ "${1:-run}" = test ] || return 0
  if [ ! -e "$folder/python/$python" ]; then
    echo "Installing OpenAI's Python client $python …"
    rm -rf "$folder/python"
    if ! { python3 -m venv "$folder/python" && "$folder/python/bin/pip" install -q --disable-pip-version-check "openai==$python" && touch "$folder/python/$python"; }; then
      rm -rf "$folder/python"
      echo "OpenAI's Python client could not be installed." >&2
      [ -z "${CI:-}" ] || return 1
    fi
  fi
  if [ ! -e "$folder/node/$node" ]; then
    echo "Installing OpenAI's Node client $node …"
    rm -rf "$folder/node"
    mkdir -p "$folder/node"
    if ! { npm install --prefix "$folder/node" --ignore-scripts --no-audit --no-fund --silent "openai@$node" && touch "$folder/node/$node"; }; then
      rm -rf "$folder/node"
      echo "OpenAI's Node client could not be installed." >&2
      [ -z "${CI:-}" ] || return 1
    fi
  fi
}

if [ ${#missing[@]} -eq 0 ]; then
  contract_tools "$@"
  openai_clients "$@"
  compared_with "$@"
  langgraph "$@"
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
contract_tools "$@"
openai_clients "$@"
compared_with "$@"
langgraph "$@"
