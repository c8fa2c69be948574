package atb_test

attested(platform) := put(low, "/agent/platform", platform)

svid := {"authority": "sha-256:aa", "issued_at": 1000, "expires_at": 4600}

bound_to(asked) := changed({"agents": {low.poa.sub: {"platform": asked}}})

test_platform_table if every row in [
	[{"authorities": ["sha-256:aa"]}, attested(svid), []],
	[{"authorities": ["sha-256:bb", "sha-256:aa"]}, attested(svid), []],
	[{"authorities": ["sha-256:bb"]}, attested(svid), ["/agent/platform/authority"]],
	[{"authorities": ["sha-256:aa"]}, low, ["/agent/platform/authority"]],
	[{"authorities": ["sha-256:aa"]}, attested(null), ["/agent/platform/authority"]],
	[{"authorities": []}, attested(svid), ["/agent/platform/authority"]],
	[{"connectors": ["erp"]}, low, []],
	[{"connectors": ["crm"]}, low, ["/request/connector"]],
	[{"connectors": ["erp"]}, drop(low, "/request/connector"), ["/request/connector"]],
	[{"max_svid_seconds": 3600}, attested(svid), []],
	[{"max_svid_seconds": 3599}, attested(svid), ["/agent/platform/expires_at"]],
	[{"max_svid_seconds": 3600}, low, ["/agent/platform/expires_at"]],
	[{"max_svid_seconds": 3600}, attested({"issued_at": "1", "expires_at": 2}), ["/agent/platform/expires_at"]],
	[{"max_svid_seconds": 3600}, attested({"issued_at": 1, "expires_at": null}), ["/agent/platform/expires_at"]],
	[
		{"authorities": ["sha-256:bb"], "connectors": ["crm"], "max_svid_seconds": 1}, attested(svid),
		["/agent/platform/authority", "/agent/platform/expires_at", "/request/connector"],
	],
] {
	decision := call_in(bound_to(row[0]), row[1])
	[violation.pointer | some violation in decision.violations] == row[2]
	rules_of(decision) == ["platform_mismatch" | some _ in row[2]]
	decision.reason in ({"ok" | row[2] == []} | {"platform_mismatch" | row[2] != []})
}

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
