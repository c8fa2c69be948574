package atb.poa_test

import data.atb.poa

test_the_holder_may if {
	poa.decision.allow with input as {
		"poa": {"act": "erp.order.read", "sub": "spiffe://atb.dev/agent/a", "amount": 1},
		"agent": {"id": "spiffe://atb.dev/agent/a"},
	}
}

test_nobody_else_may if {
	poa.decision.allow == false with input as {}
}
