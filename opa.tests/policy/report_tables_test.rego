# Tables with many rows about `report.rego`. The pipeline and the mutation tool run them; an activation does not.
package atb_test

pointers_of(decision) := {[violation.rule, violation.pointer] | some violation in decision.violations}

test_report_pointers_of_a_call if every row in [
	[world, put(medium, "/request/params", 5), ["input_malformed", "/request/params"]],
	[world, put(medium, "/request", 5), ["input_malformed", "/request"]],
	[overlaid({"limits": {"erp.order.create": {"amount": {"max": 100}}}}), medium, ["limit_exceeded", "/request/params/amount"]],
	[overlaid({"limits": {"erp.order.create": {"amount": {"max": 100}}}}), medium, ["constraint_exceeds_limit", "/poa/con/amount"]],
	[put(world, "/low_risk_allowlist", {"acts": {}}), bare, ["unmandated_not_allowed", "/request/act"]],
	[world, put(bare, "/request/act", "erp.vendor.burn"), ["unknown_act", "/request/act"]],
	[world, put(high, "/poa/req/path", {}), ["request_mismatch", "/poa/req/path"]],
	[world, put(put(high, "/poa/req/path", {}), "/request/path", {}), ["request_mismatch", "/poa/req/path"]],
	[world, put(high, "/approvals", [high.approvals[0], {"id": []}]), ["input_malformed", "/approvals/1"]],
] {
	row[2] in pointers_of(call_in(row[0], row[1]))
}

nobody_approved := put(drop(medium, "/poa/leg/approval"), "/approvals", [])

unknown_agent(doc) := put(put(doc, "/agent/id", "spiffe://atb.dev/agent/new"), "/poa/sub", "spiffe://atb.dev/agent/new")

test_report_says_what_is_wrong_with_approvals_and_where if every row in [
	[world, nobody_approved, {"approval_missing /approvals"}],
	[world, put(medium, "/approvals", []), {"approval_missing /approvals", "leg_approval_shape /poa/leg"}],
	[world, put(high, "/approvals", []), {"approval_missing /approvals", "leg_approval_shape /poa/leg"}],
	[world, put(medium, "/approvals", 5), {"approval_missing /approvals", "input_malformed /approvals", "leg_approval_shape /poa/leg"}],
	[world, put(medium, "/approvals", {}), {"approval_missing /approvals", "input_malformed /approvals", "leg_approval_shape /poa/leg"}],
	[world, put(medium, "/approvals", {"x": own("alice")}), {"approval_missing /approvals", "input_malformed /approvals", "leg_approval_shape /poa/leg"}],
	[world, put(nobody_approved, "/approvals", [own("mallory")]), {"approval_missing /approvals", "approver_unknown /approvals/0", "leg_approval_shape /poa/leg"}],
	[world, put(medium, "/approvals", [{"id": ""}]), {"approval_missing /approvals", "approver_unknown /approvals/0", "leg_approval_shape /poa/leg"}],
	[world, put(medium, "/approvals", [{"id": "alice"}]), {"approval_missing /approvals", "approver_unknown /approvals/0", "leg_approval_shape /poa/leg"}],
	[world, put(high, "/approvals", [null, own("bob")]), {"approval_missing /approvals", "approver_unknown /approvals/0", "input_malformed /approvals/0", "leg_approval_shape /poa/leg"}],
	[world, signed(high, ["alice", "alice-mobile"]), {"approval_missing /approvals", "same_person /approvals/1"}],
	[world, unknown_agent(medium), {"agent_operator_unknown /poa/sub"}],
	[world, signed(critical, ["alice", "bob"]), {"role_missing /approvals"}],
	[crowded, signed(high, array.concat(eight, ["p9"])), {"approval_too_many /approvals/8"}],
	[crowded, put(signed(high, eight), "/approvals", array.concat([own(name) | some name in eight], [null])), {"approval_too_many /approvals/8", "approver_unknown /approvals/8", "input_malformed /approvals/8"}],
	[crowded, signed(high, array.concat(array.slice(eight, 0, 7), ["p1"])), {"leg_approval_shape /poa/leg", "same_person /approvals/7"}],
	[world, put(signed(high, ["alice", "carol", "alice-mobile"]), "/agent/id", approver("alice")), {"approver_is_requester /approvals/0", "holder_mismatch /agent/id"}],
	[changed({"agents": {approver("alice"): {"operator": "dave"}}}), put(high, "/poa/sub", approver("alice")), {"approval_missing /approvals", "approver_is_requester /approvals/0", "holder_mismatch /agent/id"}],
	[world, put(given(high, [own("alice"), delegated("carol", "bob")]), "/agent/id", approver("bob")), {"approval_missing /approvals", "delegator_is_requester /approvals/1", "holder_mismatch /agent/id"}],
	[changed({"agents": {approver("bob"): {"operator": "dave"}}}), put(given(high, [own("alice"), delegated("carol", "bob")]), "/poa/sub", approver("bob")), {"approval_missing /approvals", "delegator_is_requester /approvals/1", "holder_mismatch /agent/id"}],
	[world, put(given(high, [own("alice"), delegated("carol", "bob")]), "/poa/leg/accountable_party/id", approver("bob")), {"approval_missing /approvals", "delegator_is_accountable_party /approvals/1"}],
	[world, put(given(high, [own("alice"), delegated("carol", "bob")]), "/poa/leg/accountable_party/id", "bob"), {"approval_missing /approvals", "delegator_is_accountable_party /approvals/1"}],
	[entry_of("bob", {"person": 5}), given(high, [own("alice"), delegated("carol", "bob")]), {"approval_missing /approvals", "delegator_unknown /approvals/1"}],
	[entry_of("bob", {"person": []}), given(high, [own("alice"), delegated("carol", "bob")]), {"approval_missing /approvals", "delegator_unknown /approvals/1"}],
	[entry_of("bob", {"person": []}), high, {"approval_missing /approvals", "approver_unknown /approvals/1"}],
	[world, given(high, [own("alice"), object.union(own("bob"), {"on_behalf_of": {"id": approver("carol"), "tiers": {"a": "low"}, "acts": ["*"], "workspaces": ["default"]}})]), {"approval_missing /approvals", "input_malformed /approvals/1"}],
	[world, given(high, [own("alice"), object.union(own("bob"), {"on_behalf_of": false})]), set()],
	[world, given(high, [own("alice"), object.union(own("bob"), {"on_behalf_of": false}), own("alice-mobile")]), {"same_person /approvals/2"}],
	[sworn, high, {"attestation_missing /approvals"}],
	[risky, medium, {"privileged_target /request/params/vendor_id", "approval_missing /approvals", "leg_approval_shape /poa/leg", "role_missing /approvals", "ticket_missing /poa/leg/ticket"}],
	[world, drop(critical, "/poa/leg/ticket"), {"ticket_missing /poa/leg/ticket"}],
	[world, unknown_act(put(drop(critical, "/poa/leg/ticket"), "/approvals", [own("mallory")])), {"act_mismatch /request/act", "unknown_act /poa/act"}],
] {
	said(call_in(row[0], row[1])) == row[2]
}

test_report_says_what_is_wrong_with_a_draft_and_where if every row in [
	[unknown_agent(draft_medium), {"agent_operator_unknown /poa/sub"}],
	[unknown_act(unknown_agent(draft_medium)), {"unknown_act /poa/act"}],
	[unknown_act(drop(draft_critical, "/poa/leg/ticket")), {"act_mismatch /request/act", "unknown_act /poa/act"}],
	[drop(draft_critical, "/poa/leg/ticket"), {"ticket_missing /poa/leg/ticket"}],
	[put(draft_medium, "/poa/leg/approval", medium.poa.leg.approval), {"leg_approval_shape /poa/leg"}],
	[put(put(drop(draft_critical, "/poa/leg/ticket"), "/poa/leg/dual_control", critical.poa.leg.dual_control), "/approvals", critical.approvals), {"ticket_missing /poa/leg/ticket"}],
	[put(draft_low, "/poa", 5), {"holder_mismatch /agent/id", "input_malformed /poa", "input_malformed /poa/act", "input_malformed /poa/sub", "input_malformed /poa/ttl", "leg_incomplete /poa/leg/accountable_party/id", "leg_incomplete /poa/leg/accountable_party/type", "leg_incomplete /poa/leg/basis", "leg_incomplete /poa/leg/description", "leg_incomplete /poa/leg/jurisdiction", "leg_incomplete /poa/leg/ref", "leg_incomplete /poa/leg/template/digest", "leg_incomplete /poa/leg/template/id", "leg_incomplete /poa/leg/template/version", "unknown_act /poa/act"}],
	[put(draft_low, "/poa", null), {"holder_mismatch /agent/id", "input_malformed /poa", "input_malformed /poa/act", "input_malformed /poa/sub", "input_malformed /poa/ttl", "leg_incomplete /poa/leg/accountable_party/id", "leg_incomplete /poa/leg/accountable_party/type", "leg_incomplete /poa/leg/basis", "leg_incomplete /poa/leg/description", "leg_incomplete /poa/leg/jurisdiction", "leg_incomplete /poa/leg/ref", "leg_incomplete /poa/leg/template/digest", "leg_incomplete /poa/leg/template/id", "leg_incomplete /poa/leg/template/version", "unknown_act /poa/act"}],
	[5, {"holder_mismatch /agent/id", "input_malformed /agent/id", "input_malformed /approvals", "input_malformed /phase", "input_malformed /poa", "input_malformed /poa/act", "input_malformed /poa/sub", "input_malformed /poa/ttl", "input_malformed /requires_dual_control", "input_malformed /time", "input_malformed /workspace", "leg_incomplete /poa/leg/accountable_party/id", "leg_incomplete /poa/leg/accountable_party/type", "leg_incomplete /poa/leg/basis", "leg_incomplete /poa/leg/description", "leg_incomplete /poa/leg/jurisdiction", "leg_incomplete /poa/leg/ref", "leg_incomplete /poa/leg/template/digest", "leg_incomplete /poa/leg/template/id", "leg_incomplete /poa/leg/template/version", "unknown_act /poa/act"}],
] {
	said(draft(row[0])) == row[1]
}

test_report_of_what_no_rule_explains_says_so if {
	answer := ask("call", bare, put(world, "/low_risk_allowlist", {"acts": {}})) with data.atb.unmandated_explained as set()
	answer == {
		"allow": false, "reason": "policy_undefined", "tier": "low", "missing": [], "obligations": [],
		"matched": ["act:erp.vendor.read", "tier:low", "workspace:default", "environment:production"],
		"violations": [{"rule": "policy_undefined", "pointer": "", "detail": data.reasons.policy_undefined.detail}],
		"risk": call(low).risk,
	}
}

test_report_score_ends_at_a_hundred_where_an_amount_is_near_its_limit if {
	near := put(put(medium, "/poa/con", {}), "/request/params/amount", 45000)
	decision := call_in(put(world, "/risk/points/near_limit", 71), near)
	[decision.allow, decision.risk.score] == [true, 100]
	shown := decision.risk.contributions[4]
	shown == {"factor": "near_limit:amount", "points": 71}
}
