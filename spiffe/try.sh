#!/usr/bin/env bash
# The demo's main job against a real SPIRE: server, agent, registration entries, `atb serve` on the Workload API, a low act,
# a high act with two approvals, a rotation of SVIDs, an agent that restarts, and a federated trust domain.
#
#   spiffe/try.sh            with `atb`, `spire-server` and `spire-agent` on the PATH
#
# Everything lies in a folder of its own (kept with KEEP=1) and is stopped at the end.
set -euo pipefail
HERE=$(cd "$(dirname "$0")" && pwd)
ATB=${ATB:-atb}

for tool in spire-server spire-agent "$ATB" python3; do
  command -v "$tool" > /dev/null && continue
  cat >&2 <<TEXT
$tool is not on the PATH.
SPIRE (1.15): https://github.com/spiffe/spire/releases, or with Go and a C compiler
  go install github.com/spiffe/spire/cmd/spire-server@v1.15.2
  go install github.com/spiffe/spire/cmd/spire-agent@v1.15.2
  export PATH="\$(go env GOPATH)/bin:\$PATH"
atb: cargo build, then export PATH="\$PWD/target/debug:\$PATH"
TEXT
  exit 2
done

DIR=$(mktemp -d)
PIDS=()
cleanup() {
  local code=$?
  [ $code -eq 0 ] || { echo "--- failed; the ends of the logs:" >&2; tail -n 15 "$DIR"/*.log >&2; }
  for pid in "${PIDS[@]}"; do kill "$pid" 2> /dev/null || true; done
  wait 2> /dev/null || true
  if [ "${KEEP:-}" = 1 ]; then echo "kept: $DIR"; else rm -rf "$DIR"; fi
  exit $code
}
trap cleanup EXIT
cd "$DIR"

say() { printf '\n== %s\n' "$*"; }
until_ok() { # SECONDS COMMAND...: tries until it succeeds
  local end=$((SECONDS + $1)); shift
  until "$@" > /dev/null 2>&1; do
    [ $SECONDS -lt $end ] || { echo "gave up: $*" >&2; return 1; }
    sleep 0.3
  done
}
run() { local name=$1; shift; "$@" > "$DIR/$name.log" 2>&1 & PIDS+=($!); LAST=$!; }

say "SPIRE server and agent of atb.dev"
mkdir -p data/server data/agent
run spire-server spire-server run -config "$HERE/server/server.conf"
until_ok 30 spire-server healthcheck -socketPath ./server.sock
spire-server bundle show -socketPath ./server.sock > bootstrap.pem
TOKEN=$(spire-server token generate -socketPath ./server.sock -spiffeID spiffe://atb.dev/node/one | sed -n 's/^Token: //p')
run spire-agent spire-agent run -config "$HERE/agent/agent.conf" -joinToken "$TOKEN"
AGENT_PID=$LAST
until_ok 30 spire-agent healthcheck -socketPath ./agent.sock
ATB_ONE_USER=1 "$HERE/entries.sh" ./server.sock spiffe://atb.dev/node/one

say "SVIDs for the agents and people of this machine"
"$ATB" init dev > /dev/null
rm -r dev/svids dev/trust && mkdir dev/trust
fetched() { # every SVID, in folders by the last segment of its ID
  rm -rf fetched && mkdir fetched
  spire-agent api fetch x509 -socketPath ./agent.sock -write fetched > /dev/null
  for svid in fetched/svid.*.pem; do
    local id name
    id=$("$ATB" svid inspect "$svid" --format json | python3 -c 'import json,sys; print(json.load(sys.stdin)["spiffe_id"])')
    name=${id##*/}
    mkdir -p "dev/svids/$name"
    install -m 600 "$svid" "dev/svids/$name/svid.pem"
    install -m 600 "${svid%.pem}.key" "dev/svids/$name/key.pem"
  done
  [ -d dev/svids/officer ]
}
until_ok 60 fetched
ls dev/svids

say "A second trust domain, partner.example, with a bundle endpoint"
mkdir -p data/partner
run partner spire-server run -config "$HERE/federation/partner.conf"
until_ok 30 spire-server healthcheck -socketPath ./partner.sock
spire-server bundle show -socketPath ./partner.sock -format spiffe > dev/partner.json
cat "$HERE/federation/atb.toml" >> dev/atb.toml

say "ATB on the Workload API"
read -r ISSUER BROKER OPS ERP < <(python3 -c '
import socket
held = [socket.socket() for _ in range(4)]
for one in held: one.bind(("127.0.0.1", 0))
print(*(one.getsockname()[1] for one in held))')
python3 - "$ISSUER" "$BROKER" "$OPS" "$ERP" <<'PYTHON'
import re, sys
issuer, broker, ops, erp = sys.argv[1:]
path = "dev/atb.toml"
text = open(path).read()
text = re.sub(r'svid = "svids/.*\nkey = "svids/.*\n', "", text)
text = text.replace('[trust]\n', '[trust]\nsource = "workload_api"\nmax_age_seconds = 60\n')
for shipped, free in [("8443", issuer), ("8444", broker), ("9464", ops), ("9000", erp)]:
    text = text.replace(f"127.0.0.1:{shipped}", f"127.0.0.1:{free}")
open(path, "w").write(text)
path = "dev/connectors/erp.toml"
text = open(path).read().replace("127.0.0.1:9000", f"127.0.0.1:{erp}")
open(path, "w").write(text)
PYTHON
export SPIFFE_ENDPOINT_SOCKET="unix://$DIR/agent.sock"
export ATB_HOME="$DIR/dev"
"$ATB" config check --config dev/atb.toml
run erp "$ATB" demo --erp "127.0.0.1:$ERP"
run atb "$ATB" serve --dev --config dev/atb.toml
ops() { python3 -c 'import sys, urllib.request as u; print(u.urlopen(sys.argv[1], timeout=10).read().decode())' "http://127.0.0.1:$OPS/$1"; }
ready() { ops ready; }
until_ok 300 ready
grep -c CERTIFICATE dev/trust/bundle.pem > /dev/null && echo "ready; dev/trust/bundle.pem is the copy of the bundle"

say "A low act"
GROUND=(--template contract --var contract_ref=MSA-1001 --var accountable_id=dave --var jurisdiction=DE)
"$ATB" issue --as procurement erp.vendor.read "${GROUND[@]}" --var order=O-2001 --out read.jwt
"$ATB" call --as procurement --mandate read.jwt GET erp/vendors/V-1001

say "A high act, approved by two people"
IBAN=DE02120300000000202051
CHALLENGE=$("$ATB" issue --as procurement sap.vendor.change "${GROUND[@]}" --var order='bank account of V-1001' \
  --request 'POST erp /vendors/V-1001/bank-account' \
  --params "{\"vendor_id\":\"V-1001\",\"iban\":\"$IBAN\",\"payment_limit\":25000,\"reason\":\"vendor moved banks\"}")
"$ATB" approve --as alice --yes "$CHALLENGE" > /dev/null
"$ATB" approve --as bob --yes "$CHALLENGE" > /dev/null
"$ATB" issue --as procurement --collect "$CHALLENGE" --out change.jwt
"$ATB" mandate verify change.jwt > /dev/null && echo "the mandate and both approvals verify offline"
"$ATB" call --as procurement --mandate change.jwt POST erp/vendors/V-1001/bank-account \
  --body "{\"iban\":\"$IBAN\",\"payment_limit\":25000,\"reason\":\"vendor moved banks\"}"

say "Short-lived SVIDs: the services renew theirs while they run"
for path in agentauth broker; do
  id=$(spire-server entry show -socketPath ./server.sock -spiffeID "spiffe://atb.dev/$path" | sed -n 's/^Entry ID *: //p')
  spire-server entry update -socketPath ./server.sock -entryID "$id" -parentID spiffe://atb.dev/node/one \
    -spiffeID "spiffe://atb.dev/$path" -selector "unix:uid:$(id -u)" -x509SVIDTTL 60 > /dev/null
done
metric() { ops metrics | grep "^$1"; }
renewed() { metric 'atb_identity_rotations_total{kind="svid"}' | grep -Eq ' ([2-9]|[0-9]{2,})$'; }
until_ok 120 renewed
metric 'atb_svid_expires_in_seconds'

say "The SPIRE agent restarts"
kill "$AGENT_PID"; wait "$AGENT_PID" 2> /dev/null || true
"$ATB" issue --as procurement erp.vendor.read "${GROUND[@]}" --var order=O-2002 --out read2.jwt
run spire-agent2 spire-agent run -config "$HERE/agent/agent.conf"
until_ok 30 spire-agent healthcheck -socketPath ./agent.sock
before=$(metric 'atb_identity_rotations_total{kind="svid"}' | sed 's/.* //')
more() { [ "$(metric 'atb_identity_rotations_total{kind="svid"}' | sed 's/.* //')" -gt "$before" ]; }
until_ok 120 more
"$ATB" call --as procurement --mandate read2.jwt GET erp/vendors/V-1001

say "The federated trust domain (its bundle endpoint is https_spiffe)"
kept() { [ -s dev/data/federation/partner.example.json ]; }
until_ok 60 kept
spire-server x509 mint -socketPath ./partner.sock -spiffeID spiffe://partner.example/agent/buyer -write . > /dev/null
ask() { # PATH: as the partner's agent; status and reason
  python3 - "$1" "$ISSUER" <<'PYTHON'
import http.client, json, ssl, sys
tls = ssl.create_default_context()
tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE  # the service has an SVID and no host name
tls.load_cert_chain("svid.pem", "key.pem")
door = http.client.HTTPSConnection("127.0.0.1", int(sys.argv[2]), context=tls, timeout=10)
door.request("GET", sys.argv[1])
answer = door.getresponse()
print(answer.status, json.loads(answer.read()).get("reason", "ok"))
PYTHON
}
ask /templates
ask /audit
[ "$(ask /templates)" = "200 ok" ] && [ "$(ask /audit)" = "403 not_admitted_to_audit" ]

say "The record"
"$ATB" audit verify --home dev
echo "all of it came out as expected"
