package atb_test

svid := {"authority": "sha-256:aa", "issued_at": 1000, "expires_at": 4600}

bound_to(asked) := changed({"agents": {low.poa.sub: {"platform": asked}}})

test_platform_holds_a_draft if {
	asked := bound_to({"authorities": ["sha-256:aa"]})
	ask("draft", draft_low, asked).reason == "platform_mismatch"
	ask("draft", put(draft_low, "/agent/platform", svid), asked).allow == true
}

test_platform_connectors_hold_a_draft_that_names_a_call if {
	asked := bound_to({"connectors": ["crm"]})
	ask("draft", draft_low, asked).allow == true
	ask("draft", draft_high, asked).reason == "platform_mismatch"
}
