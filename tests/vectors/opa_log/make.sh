#!/bin/sh
# Writes decisions.jsonl: what a real OPA logs of six questions. The file is kept, so that no test needs OPA.
set -eu
cd "$(dirname "$0")"
out=$(mktemp -d)
cat >"$out/config.yaml" <<YAML
decision_logs: {console: true}
YAML
opa run --server --addr 127.0.0.1:18181 --config-file "$out/config.yaml" -b bundle -b mask 2>"$out/log" &
opa=$!
trap 'kill $opa' EXIT
sleep 2
ask() { curl -s -o "$out/answer" -H 'Content-Type: application/json' -d "$2" "http://127.0.0.1:18181/v1/data/$1"; }
agent='"agent": {"id": "spiffe://atb.dev/agent/a"}, "workspace": "default"'
poa='"act": "erp.order.read", "sub": "spiffe://atb.dev/agent/a"'
ask atb/poa/decision "{\"input\": {$agent, \"poa\": {$poa, \"amount\": 10}}}"
ask atb/poa/decision "{\"input\": {$agent, \"poa\": {$poa, \"amount\": 6000}}}"
ask atb/issue/decision "{\"input\": {$agent, \"poa\": {$poa, \"amount\": 10}}}"
ask atb/poa/decision/allow "{\"input\": {$agent, \"poa\": {$poa, \"amount\": 7000}}}"
ask atb/poa/decision "{\"input\": {$agent, \"poa\": {$poa, \"amount\": 10, \"note\": \"for Zoe\"}}}"
ask atb/poa/decision "{\"input\": {$agent, \"poa\": {$poa, \"amount\": 10, \"hide\": true}}}"
sleep 1
grep '"msg":"Decision Log"' "$out/log" >decisions.jsonl
