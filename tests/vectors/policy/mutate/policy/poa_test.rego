package atb.poa_test

import data.atb.poa

asked(sub, amount) := {
	"poa": {"act": "erp.order.create", "sub": sub},
	"agent": {"id": "spiffe://atb.dev/agent/a"},
	"request": {"params": {"amount": amount}},
}

holder := "spiffe://atb.dev/agent/a"

denial := {"allow": false, "reason": "denied", "tier": null, "missing": [], "obligations": [], "violations": []}

permit := {"allow": true, "reason": "ok", "tier": "medium", "missing": [], "obligations": [], "violations": []}

test_the_usual_call_may if poa.decision == permit with input as asked(holder, 5)

# Not at the limit, and not one above it: that is what `mutate` finds.
test_a_larger_one_may if poa.decision == permit with input as asked(holder, 50)

test_too_much_may_not if poa.decision == denial with input as asked(holder, 1000)

test_nobody_else_may if {
	poa.decision == denial with input as asked("spiffe://atb.dev/agent/b", 5)
	poa.decision == denial with input as asked("spiffe://atb.dev/agent/b", 50)
}
