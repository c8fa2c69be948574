# Tests about roles that an act asks for, entries with dates, and approvals on behalf of another.
package atb_test

# An act that asks beyond its tier.
tightened(doc, approval) := changed({"catalogue": {doc.poa.act: {"approval": approval}}})

test_people_act_asks_for_a_role if {
	there := tightened(high, {"roles": {"finance": 1}})
	call_in(there, high).allow == true
	decision := call_in(there, signed(high, ["bob", "carol"]))
	decision.reason == "role_missing"
	decision.missing == ["finance"]
}

test_people_act_asks_for_more_people if {
	there := tightened(medium, {"approvals": 2})
	call_in(there, medium).missing == ["approval"]
	call_in(there, signed(drop(medium, "/poa/leg/approval"), ["alice", "bob"])).allow == true
}

test_people_act_of_tier_low_asks if {
	there := tightened(low, {"approvals": 1, "roles": {"finance": 1}})
	call_in(there, low).missing == ["approval", "finance"]
	doc := put(put(low, "/approvals", medium.approvals), "/poa/leg/approval", medium.poa.leg.approval)
	call_in(there, doc).allow == true
}

test_people_requirement_of_act if {
	there := tightened(draft_critical, {"approvals": 3, "roles": {"finance": 1}, "challenge_seconds": 60})
	asked := ask("requirement", draft_critical, there)
	asked.required == 3
	asked.roles == {"executive": 1, "finance": 1}
	asked.challenge_seconds == 60
	decision := ask("draft", draft_critical, there)
	decision.requirement == asked
	decision.missing == ["approval", "executive", "finance"]
}

test_people_roles_missing_in_assessment if {
	there := tightened(high, {"roles": {"finance": 1}})
	ask("assessment", signed(high, ["bob"]), there).roles_missing == {"finance": 1}
	ask("assessment", put(drop(high, "/poa/leg/dual_control"), "/approvals", []), there).roles_missing == {"finance": 1}
}

dated(name, days) := changed({"approvers": {approver(name): days}})

test_people_not_in_force if every days in [{"valid_from": "2026-09-22"}, {"valid_until": "2026-09-20"}] {
	there := dated("bob", days)
	[decision, result] := ask("call and assessment", high, there)
	decision.reason == "approver_not_in_force"
	result.refused == [{"id": approver("bob"), "reason": "approver_not_in_force"}]
}

test_people_not_in_force_when_she_signed if {
	doc := put(high, "/approvals", [{"id": approver("alice"), "approved_at": 1}, {"id": approver("bob"), "approved_at": 1}])
	call_in(dated("bob", {"valid_from": "2026-01-01"}), doc).reason == "approver_not_in_force"
}

test_people_dates_need_a_time_of_signing if {
	doc := put(high, "/approvals", [{"id": approver("alice")}, {"id": approver("bob")}])
	call_in(dated("bob", {"valid_from": "2026-01-01"}), doc).reason == "approver_not_in_force"
}

# Dora holds no rights of her own; she acts for others.
with_dora(members) := changed({"approvers": object.union(
	{approver("dora"): {
		"person": "dora", "roles": [], "tiers": [], "acts": [], "workspaces": [],
	}},
	members,
)})

everything := {"tiers": ["low", "medium", "high", "critical"], "acts": ["*"], "workspaces": ["default"]}

for(name, scope) := {"id": approver("dora"), "approved_at": 1789999990, "on_behalf_of": object.union(object.union(everything, scope), {"id": name})}

own(name) := {"id": approver(name), "approved_at": 1789999990}

given(doc, statements) := put(signed_by(doc, [one.id | some one in statements]), "/approvals", statements)

test_people_delegate_counts if {
	doc := given(high, [own("alice"), for(approver("bob"), {})])
	there := with_dora({})
	call_in(there, doc).allow == true
	result := ask("assessment", doc, there)
	result.counted == [
		{"id": approver("alice"), "person": "alice", "roles": ["finance"]},
		{"id": approver("dora"), "person": "dora", "roles": [], "on_behalf_of": "bob"},
	]
	result.met == true
}

# Who was refused for sharing a person has used up nobody: bob counts although dora, who came for him, does not.
test_people_a_refused_approval_uses_up_nobody if {
	doc := given(high, [own("alice"), for(approver("alice"), {}), own("bob")])
	result := ask("assessment", doc, with_dora({}))
	[one.id | some one in result.counted] == [approver("alice"), approver("bob")]
}

test_people_ninth_approval if {
	names := ["p1", "p2", "p3", "p4", "p5", "p6", "p7", "p8", "p9"]
	crowd := {approver(name): {"person": name, "roles": [], "tiers": ["high"], "acts": ["*"], "workspaces": ["default"]} | some name in names}
	there := changed({"approvers": crowd})
	call_in(there, signed(high, array.slice(names, 0, 8))).allow == true
	call_in(there, signed(high, names)).reason == "approval_too_many"
	result := ask("assessment", signed(high, names), there)
	result.approved == 8
	result.refused == [{"id": approver("p9"), "reason": "approval_too_many"}]
}
