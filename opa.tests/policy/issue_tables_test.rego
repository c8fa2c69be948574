# Tables with many rows about `issue.rego`. The pipeline and the mutation tool run them; an activation does not.
package atb_test

test_issue_nothing_outstanding_when_proven if draft(put(draft_critical, "/approvals", critical.approvals)).missing == []

test_issue_hostile_huge_number if refused_outright(1e300)

# What a draft asks for, in the short way and at length: how many, for how long, and what is still missing.
asked_of(there, doc) := [answer.reason, answer.requirement.required, answer.requirement.max_ttl_seconds, answer.missing] if {
	answer := ask("draft", doc, there)
}

test_issue_requirement_table if every row in [
	[world, draft_low, ["ok", 0, 300, []]],
	[world, put(draft_low, "/requires_dual_control", true), ["ok", 2, 300, ["approval"]]],
	[world, put(draft_low, "/poa/leg/dual_control", {"required": true}), ["ok", 2, 300, ["approval"]]],
	[world, put(draft_medium, "/requires_dual_control", true), ["ok", 2, 300, ["approval"]]],
	[tightened(draft_medium, {"approvals": 3}), put(draft_medium, "/requires_dual_control", true), ["ok", 3, 300, ["approval"]]],
	[tightened(draft_medium, {"roles": {"finance": 1}}), draft_medium, ["ok", 1, 300, ["approval", "finance"]]],
	[changed({"catalogue": {"erp.vendor.read": {"max_ttl_seconds": 60}}}), draft_low, ["ok", 0, 60, []]],
	[changed({"catalogue": {"erp.vendor.read": {"max_ttl_seconds": 59}}}), draft_low, ["ttl_too_long", 0, 59, []]],
	[changed({"catalogue": {"erp.vendor.read": {"max_ttl_seconds": 600}}}), put(draft_low, "/poa/ttl", 300), ["ok", 0, 300, []]],
	[changed({"catalogue": {"erp.vendor.read": {"max_ttl_seconds": 600}}}), put(draft_low, "/poa/ttl", 301), ["ttl_too_long", 0, 300, []]],
	[world, put(draft_critical, "/approvals", [own("bob")]), ["ok", 2, 120, ["approval", "executive"]]],
	[world, put(draft_critical, "/approvals", [own("carol")]), ["ok", 2, 120, ["approval"]]],
	[world, put(draft_critical, "/approvals", [own("alice"), own("bob")]), ["ok", 2, 120, ["executive"]]],
	[world, put(draft_critical, "/approvals", [own("alice"), own("alice-mobile")]), ["ok", 2, 120, ["approval", "executive"]]],
	[world, put(draft_critical, "/approvals", [own("alice"), own("bob"), own("carol")]), ["ok", 2, 120, []]],
	[sworn, put(draft_high, "/approvals", attests(["called_back"], []).approvals), ["ok", 2, 300, ["attestation:four_eyes"]]],
	[sworn, put(draft_high, "/approvals", attests(["called_back"], ["four_eyes"]).approvals), ["ok", 2, 300, []]],
] {
	asked_of(row[0], row[1]) == row[2]
}

# One thing wrong with a draft at a time; gates, findings and long forms agree.
test_issue_holder_and_shape_table if drafted(world, array.concat(
	[
		[put(draft_low, "/phase", "call"), "input_malformed"], [drop(draft_low, "/phase"), "input_malformed"], [put(draft_low, "/poa/sub", "x"), "holder_mismatch"],
		[put(draft_low, "/poa/tier", "medium"), "tier_mismatch"], [put(draft_low, "/workspace", "other"), "workspace_mismatch"], [put(draft_low, "/poa/ttl", 301), "ttl_too_long"],
		[put(draft_low, "/poa/ttl", 0), "input_malformed"], [put(draft_low, "/poa/ttl", true), "input_malformed"], [put(draft_low, "/time", 0), "leg_template_expired"],
		[put(draft_low, "/time", 9000000000), "leg_template_expired"], [put(draft_critical, "/poa/leg/ticket/system", 5), "ticket_missing"],
		[put(draft_critical, "/poa/leg/ticket/ref", ""), "ticket_missing"], [put(draft_critical, "/poa/leg/ticket/system", ""), "ticket_missing"], [put(draft_critical, "/poa/leg/ticket/ref", 5), "ticket_missing"],
		[put(draft_low, "/poa/req", draft_high.poa.req), "request_mismatch"], [put(draft_low, "/poa/req", false), "request_mismatch"], [put(draft_low, "/poa/req", null), "ok"],
		[put(draft_high, "/poa/req/path", "x"), "request_mismatch"], [put(draft_high, "/poa/req/method", "x"), "request_mismatch"], [put(draft_high, "/poa/req/connector", "x"), "request_mismatch"],
		[put(put(draft_high, "/poa/req/path", 5), "/request/path", 5), "request_mismatch"], [put(draft_high, "/poa/req", null), "request_binding_required"],
	],
	[[put(draft_low, path, value), "input_malformed"] |
		some path in ["/approvals", "/requires_dual_control"]
		some value in [5, null, "x", {}]
	],
))

test_issue_operator_table if every person in ["", 5, null, [], {}] {
	drafted(operated_by(person), [[draft_medium, "agent_operator_unknown"], [draft_low, "ok"]])
}

test_issue_leg_members_table if drafted(world, [[put(draft_low, path, value), "leg_incomplete"] |
	some path in [
		"/poa/leg/ref", "/poa/leg/description", "/poa/leg/accountable_party/type", "/poa/leg/accountable_party/id",
		"/poa/leg/template/digest", "/poa/leg/template/id", "/poa/leg/template/version", "/poa/leg/jurisdiction", "/poa/leg/basis",
	]
	some value in ["", 5, null, []]
])

# Each long form alone keeps a draft back where the findings say nothing.
test_issue_long_forms_deny_by_themselves if every row in [
	[world, 0, put(draft_high, "/phase", "call")], [world, 0, put(draft_high, "/poa/tier", "low")], [world, 0, put(draft_high, "/poa/ttl", 0)],
	[world, 1, put(draft_high, "/request/path", "x")], [world, 2, put(draft_high, "/poa/con/payment_limit", {"max": 250001})], [world, 2, drop(draft_high, "/request/params/iban")],
	[world, 2, put(draft_high, "/request/act", "x")], [world, 2, put(draft_high, "/poa/con/vendor_id", "V-1")], [world, 3, drop(draft_high, "/poa/leg/ref")],
	[world, 4, put(draft_high, "/poa/leg/approval", medium.poa.leg.approval)], [world, 4, drop(draft_critical, "/poa/leg/ticket")], [operated_by(""), 4, draft_high],
	[bound_to({"authorities": ["sha-256:aa"]}), 5, draft_high], [overlaid({"denied": ["*"]}), 5, draft_high],
] {
	gates := [gate | some i in numbers.range(0, 5); gate := {1 | i != row[1]}]
	there := row[0]
	answer := ask({"draft_gates": gates}, row[2], there) with data.reasons as {"policy_undefined": data.reasons.policy_undefined}
	[answer.allow, answer.reason] == [false, "policy_undefined"]
}

test_issue_times_of_this_era_table if drafted(contract(ever), [
	[put(draft_low, "/time", 0), "leg_template_expired"], [put(draft_low, "/time", 1), "ok"],
	[put(draft_low, "/time", 8999999999), "ok"], [put(draft_low, "/time", 9000000000), "leg_template_expired"],
])
