#!/usr/bin/env bash
# Registration entries for every workload of ATB: who gets which SPIFFE ID, by what the agent can prove of it.
#
#   ./entries.sh SERVER_SOCKET PARENT_ID
#
# In production every workload has a user of its own and `unix:user` tells them apart, as below. With
# ATB_ONE_USER=1 all of them run as the user of this script, for ./try.sh on one machine: then whoever is that user can
# be any of them, and nothing is kept apart.
set -euo pipefail
SOCKET=${1:?the socket of spire-server}
PARENT=${2:?the SPIFFE ID of the agent, for example spiffe://atb.dev/node/one}
DOMAIN=${ATB_TRUST_DOMAIN:-atb.dev}

entry() { # PATH USER
  local selector="unix:user:$2"
  [ "${ATB_ONE_USER:-}" = 1 ] && selector="unix:uid:$(id -u)"
  spire-server entry create -socketPath "$SOCKET" -parentID "$PARENT" -spiffeID "spiffe://$DOMAIN/$1" \
    -selector "$selector" > /dev/null
  echo "spiffe://$DOMAIN/$1  $selector"
}

# The services. `atb serve` runs both and has both SVIDs; apart they are two users.
entry agentauth             atb
entry broker                atb
# Connectors that ask for decisions themselves.
entry connector/erp         erp
# Agents: one entry a workload, never one for all.
entry agent/procurement     agent-procurement
entry agent/support         agent-support
# People: the SVID of a workstation session, fetched by a helper that has asked for a second factor.
entry approver/alice        alice
entry approver/bob          bob
entry approver/carol        carol
entry legal/officer         legal-officer
