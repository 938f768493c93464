#!/usr/bin/env bash
# Three NATS servers and three gateways on loopback, whose sessions are kept in JetStream, until Ctrl-C. It builds what it
# needs, from this repository, and keeps everything in a folder that is printed: its first argument, or a new one.
#   examples/jetstream/run.sh           until Ctrl-C
#   ONCE=1 examples/jetstream/run.sh    opens a session, kills its gateway, goes on at another one, and ends
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
dir=${1:-$(mktemp -d)}
mkdir -p "$dir"
cd "$dir"
echo "folder: $dir"

if [ -n "${BIN:-}" ]; then bin=$BIN; else
  bin=$dir/bin && mkdir -p "$bin"
  go -C "$root" build -o "$bin/" ./cmd/quorate
  go -C "$root/jetstream" build -o "$bin/" ./cmd/quorate-jetstream
  go -C "$root/jetstream" build -o "$bin/nats-server" github.com/nats-io/nats-server/v2
fi

pids=()
trap 'kill "${pids[@]}" 2>/dev/null || true; wait' EXIT
start() { "${@:2}" >"$1.log" 2>&1 & pids+=($!); }
ready() { # URL: waits until it answers 200
  for _ in $(seq 600); do curl -fsS -o /dev/null "$1" 2>/dev/null && return; read -rt 0.1 <> <(:) || true; done
  echo "no answer: $1" >&2; tail -n 5 "$dir"/*.log >&2; exit 1
}

for i in 1 2 3; do
  cat >"nats-$i.conf" <<EOF
server_name: nats-$i
listen: "127.0.0.1:1422$i"
http: "127.0.0.1:1822$i"
max_payload: 4MB
server_tags: ["region:region-$i"]
jetstream { store_dir: "$dir/nats-$i", sync_interval: always }
cluster { name: quorate, listen: "127.0.0.1:1622$i", routes: ["nats://127.0.0.1:16221", "nats://127.0.0.1:16222", "nats://127.0.0.1:16223"] }
EOF
  start "nats-$i" "$bin/nats-server" -c "nats-$i.conf"
done
for i in 1 2 3; do ready "http://127.0.0.1:1822$i/healthz"; done

[ -e ca.crt ] || "$bin/quorate" ca init --dir . >/dev/null
start node "$bin/quorate" node -name n1 -listen 127.0.0.1:19001
for i in 1 2 3; do
  [ -e "region-$i-gw-$i.crt" ] || "$bin/quorate" ca issue --dir . "region-$i" "gw-$i" >/dev/null
  cat >"gw-$i.yaml" <<EOF
name: gw-$i
region: region-$i
data_dir: data-$i
listen: {address: 127.0.0.1:1808$i}
admin: {address: 127.0.0.1:1909$i}
peer: {address: 127.0.0.1:1910$i, ca_file: ca.crt, cert_file: region-$i-gw-$i.crt, key_file: region-$i-gw-$i.key}
control: {expect: [gw-1, gw-2, gw-3], join: ["127.0.0.1:19101", "127.0.0.1:19102", "127.0.0.1:19103"]}
replication:
  strategy: jetstream
  plugin:
    settings:
      urls: ["nats://127.0.0.1:14221", "nats://127.0.0.1:14222", "nats://127.0.0.1:14223"]
      monitoring: ["http://127.0.0.1:18221", "http://127.0.0.1:18222", "http://127.0.0.1:18223"]
      mirrors: [region-3]
services:
  - name: tools
    path: /mcp
    discover: [{static: {nodes: [{id: n1, url: "http://127.0.0.1:19001/mcp"}]}}]
EOF
  start "gw-$i" "$bin/quorate" serve --config "gw-$i.yaml"
done
for i in 1 2 3; do ready "http://127.0.0.1:1909$i/ready"; ready "http://127.0.0.1:1909$i/writez"; done
echo "agents: http://127.0.0.1:18081/mcp  http://127.0.0.1:18082/mcp  http://127.0.0.1:18083/mcp"
echo "try:    $bin/quorate doctor --config $dir/gw-1.yaml;  $bin/quorate admin sessions --address http://127.0.0.1:19091"

if [ -z "${ONCE:-}" ]; then wait; exit; fi

post() { curl -sS -m 30 -D head -H 'Content-Type: application/json' -H 'Accept: application/json, text/event-stream' "$@"; }
post http://127.0.0.1:18081/mcp -d '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"run.sh","version":"1"}}}' >/dev/null
session=$(tr -d '\r' <head | sed -n 's/^[Mm]cp-[Ss]ession-[Ii]d: //p')
post http://127.0.0.1:18081/mcp -H "Mcp-Session-Id: $session" -d '{"jsonrpc":"2.0","method":"notifications/initialized"}' >/dev/null
"$bin/quorate" doctor --config gw-1.yaml | grep -E 'STATUS|store|strategy' || true
kill -9 "${pids[4]}"
echo "gw-1 is killed; the session goes on at gw-2:"
for _ in $(seq 100); do
  answer=$(post http://127.0.0.1:18082/mcp -H "Mcp-Session-Id: $session" -H 'MCP-Protocol-Version: 2025-06-18' -d '{"jsonrpc":"2.0","id":2,"method":"tools/list"}')
  case $answer in *'"tools"'*) echo "tools/list answers under the same session"; exit 0 ;; esac
  read -rt 0.2 <> <(:) || true
done
echo "the session is lost: $answer" >&2
exit 1
