package atb_test

bare := put(put(low, "/poa", null), "/unmandated", true)

unmandated_reason(doc, there) := call_in(there, doc).reason

test_unmandated_low_is_allowed if {
	decision := call_in(world, bare)
	decision.allow == true
	[decision.reason, decision.tier, decision.violations] == ["ok", "low", []]
	decision.matched == ["act:erp.vendor.read", "tier:low", "workspace:default", "environment:production", "allowlist:low_risk"]
}

test_unmandated_only_where_the_configuration_says_so if denied_each([drop(bare, "/unmandated"), put(bare, "/unmandated", false), put(bare, "/unmandated", "true"), put(bare, "/unmandated", 1)], "input_malformed")

test_unmandated_never_where_a_mandate_is_there if denied_each([put(bare, "/poa", value) | some value in [{}, [], "x", 5, false]], "input_malformed")

test_unmandated_a_mandate_is_judged_as_one if denied(put(put(low, "/unmandated", true), "/poa/tier", "high"), "tier_mismatch")

test_unmandated_without_poa_at_all_is_malformed if unmandated_reason(drop(bare, "/poa"), world) == "input_malformed"

listed(act, members) := changed({"low_risk_allowlist": {"acts": {"erp.vendor.read": act}}, "catalogue": {"erp.vendor.read": members}})

test_unmandated_list_table if every row in [
	[true, {}, "ok"], [false, {}, "unmandated_not_allowed"], ["true", {}, "unmandated_not_allowed"],
	[true, {"tier": "medium"}, "unmandated_not_allowed"], [true, {"reversibility": "reversible"}, "unmandated_not_allowed"],
	[true, {"bind_request": true}, "unmandated_not_allowed"], [true, {"attestations": {"seen": "I saw it"}}, "unmandated_not_allowed"],
	[true, {"approval": {"approvals": 1}}, "unmandated_not_allowed"],
] {
	unmandated_reason(bare, listed(row[0], row[1])) == row[2]
}

test_unmandated_not_listed if {
	decision := call_in(put(world, "/low_risk_allowlist", {"acts": {}}), bare)
	decision.reason == "unmandated_not_allowed"
	decision.missing == ["mandate"]
	decision.tier == "low"
}

test_unmandated_ticket if unmandated_reason(bare, changed({"tiers": {"low": {"ticket": true}}})) == "unmandated_not_allowed"

test_unmandated_unknown_act if rules_of(call_in(world, put(bare, "/request/act", "erp.vendor.burn"))) == ["unknown_act"]

test_unmandated_hole_in_the_findings_does_not_permit if {
	answer := ask("call", bare, put(world, "/low_risk_allowlist", {"acts": {}})) with data.atb.unmandated_explained as set()
	answer.reason == "policy_undefined"
}

test_unmandated_points_at_the_workspace if said(call(put(bare, "/workspace", "other"))) == {"workspace_mismatch /workspace"}

test_unmandated_finding_without_a_rank_does_not_permit if {
	there := overlaid({"denied": ["*"]})
	answer := ask("call", bare, there) with data.reasons as json.remove(data.reasons, ["act_denied_here"])
	[answer.allow, answer.reason] == [false, "policy_undefined"]
}
