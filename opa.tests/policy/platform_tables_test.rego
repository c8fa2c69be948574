# Tables with many rows about `platform.rego`. The pipeline and the mutation tool run them; an activation does not.
package atb_test

attested(platform) := put(low, "/agent/platform", platform)

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
