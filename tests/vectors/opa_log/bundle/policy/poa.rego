package atb.poa

default decision := {
	"allow": false, "reason": "denied", "tier": null, "missing": [], "obligations": [], "violations": [],
}

decision := {
	"allow": true, "reason": "ok", "tier": entry.tier, "missing": [], "obligations": [], "violations": [],
} if {
	entry := data.catalogue[input.poa.act]
	is_string(input.poa.sub)
	input.poa.sub == input.agent.id
	is_number(input.poa.amount)
	input.poa.amount <= 5000
}
