# METADATA
# title: A small policy
# description: Who may, and how much.
# authors:
#   - Policy team
package atb.poa

default decision := {
	"allow": false, "reason": "denied", "tier": null, "missing": [], "obligations": [], "violations": [],
}

# METADATA
# title: The decision
# description: The holder may, up to the limit of the act.
# entrypoint: true
decision := permit if usual

else := permit if {
	input.poa.sub == input.agent.id
	within(data.catalogue[input.poa.act].limits)
	known
}

# METADATA
# title: The usual call
# description: A small amount, found out fast; the long way says the same.
# custom:
#   fast_path: true
usual if {
	input.poa.sub == input.agent.id
	input.request.params.amount == 5
}

# METADATA
# title: Within the limit
within(limits) if input.request.params.amount <= limits.amount.max

known if data.agents[input.poa.sub]

permit := {"allow": true, "reason": "ok", "tier": "medium", "missing": [], "obligations": [], "violations": []}
