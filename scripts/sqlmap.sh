#!/usr/bin/env bash
# Tries SQL injection with sqlmap (apt-get install sqlmap) on every operation of a
# running Lectern: into each id of a path, parameter and text of a body.
#   scripts/sqlmap.sh http://127.0.0.1:8080 TOKEN [SECONDS]
# TOKEN is the session token that sign-in gives; SECONDS, for one operation, are 30.
# Take a house of your own, with -no-sample: it is written into. What was found is
# printed, with exit code 1; nothing is printed for what holds.
set -euo pipefail
url=${1:?where Lectern is} token=${2:?a session token} seconds=${3:-30}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
curl -fsS "$url/openapi.json" >"$work/openapi.json"
python3 - "$url" "$token" "$work" <<'PYTHON'
import json, sys, urllib.parse, urllib.request

url, token, work = sys.argv[1:]
document = json.load(open(work + "/openapi.json"))

def call(path, body):
    headers = {"Authorization": "Bearer " + token, "Content-Type": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(url + path, json.dumps(body).encode(), headers)) as answer:
        return json.load(answer)

course = call("/v1/courses", {"title": "sqlmap"})["id"]
module = call(f"/v1/courses/{course}/modules", {"title": "sqlmap"})["id"]
lesson = call(f"/v1/modules/{module}/lessons", {"title": "sqlmap"})["id"]
known = {"course": course, "module": module, "lesson": lesson}

# What lets a body through the checks, so that it reaches the database.
fixed = {"language": "en", "content_type": "text/markdown", "name": "owl*.md", "email": "owl*@lectern.example", "kind": "points", "key": 1, "choices": ["owl*", "crow"]}
optional = {"code", "table", "quote", "evidence", "citations", "id", "expires_at", "reveals", "$schema"}

def sample(schema):
    while "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].split("/")[-1]]
    kind = schema.get("type")
    kind = kind[0] if isinstance(kind, list) else kind
    if "enum" in schema:
        return schema["enum"][0]
    if kind == "object":
        return {name: fixed.get(name) or sample(s) for name, s in schema.get("properties", {}).items() if name not in optional}
    if kind == "array":
        return [sample(schema["items"])]
    return {"integer": 1, "number": 1, "boolean": True}.get(kind, "owl*")  # * is where sqlmap begins

ends = {"sign-out", "sign-out-everywhere", "end-sign-in", "watch-job"}  # the session, or never
for path, operations in document["paths"].items():
    for method, o in operations.items():
        if o.get("operationId") in ends:
            continue
        target, query = path, {}
        for p in o.get("parameters", []):
            if p["in"] == "path":
                target = target.replace("{" + p["name"] + "}", known.get(p["name"], "x_06fz3qk8v0g1m2n4p5r6s7t8") + "*")
            elif p["in"] == "query":
                query[p["name"]] = "1*"
        if query:
            target += "?" + urllib.parse.urlencode(query, safe="*")
        body = o.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
        body = json.dumps(sample(body)) if body else ""
        if "*" not in target + body:
            continue
        host = urllib.parse.urlparse(url).netloc
        with open(f"{work}/{o['operationId']}.request", "w") as f:
            f.write(f"{method.upper()} {target} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n"
                    f"Content-Type: application/json\r\nAccept: application/json\r\n\r\n{body}")
PYTHON
tried=0 found=0
for request in "$work"/*.request; do
  name=$(basename "$request" .request) tried=$((tried + 1))
  TERM=dumb timeout "$seconds" sqlmap -r "$request" --batch --dbms postgresql --level 2 --risk 1 --technique BEUST --time-sec 3 \
    --ignore-stdin --ignore-code '*' --skip-waf --timeout 5 --retries 0 --disable-coloring --output-dir "$work/out" >"$work/$name.log" 2>&1 || true
  if grep -qE "is vulnerable|sqlmap identified the following injection" "$work/$name.log"; then # "appears to be" is a guess that it then checks
    found=$((found + 1))
    echo "$name:"
    grep -E "is vulnerable|Parameter:|Payload:" "$work/$name.log"
  fi
  if ! grep -q "testing " "$work/$name.log"; then
    echo "$name was not tried:"
    tail -3 "$work/$name.log"
  fi
done
echo "$tried operations, $found with a finding"
[ "$found" = 0 ]
