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

test_people_act_asks_for_two_roles_of_two_people if {
	there := tightened(critical, {"roles": {"finance": 1}})
	call_in(there, critical).missing == ["finance"]
	call_in(there, signed(critical, ["alice", "bob"])).missing == ["executive"]
	call_in(there, signed(critical, ["alice", "carol"])).allow == true
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

# The day of the tests' time.
today := "2026-09-21"

dated(name, days) := changed({"approvers": {approver(name): days}})

test_people_in_force_on_first_and_last_day if every days in [{"valid_from": today}, {"valid_until": today}, {"valid_from": today, "valid_until": today}] {
	there := dated("bob", days)
	[decision, result] := ask("call and assessment", high, there)
	decision.allow == true
	result.met == true
}

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

test_people_delegate_brings_the_delegators_role if {
	there := object.union(with_dora({}), tightened(high, {"roles": {"finance": 1}}))
	call_in(there, given(high, [own("bob"), for(approver("alice"), {})])).allow == true
	call_in(there, given(high, [own("carol"), for(approver("bob"), {})])).missing == ["finance"]
}

# Each fault of a delegation with its reason; the other approval is alice's.
delegation_faults := [
	[for(approver("nobody"), {}), {}, "delegator_unknown"],
	[for(high.poa.sub, {}), {}, "delegator_is_requester"],
	[for(approver("dave"), {}), {approver("dave"): {"person": "dave", "roles": [], "tiers": ["high"], "acts": ["*"], "workspaces": ["default"]}}, "delegator_operates_requester"],
	[for(approver("frank"), {}), {approver("frank"): {"person": "frank", "roles": [], "tiers": ["high"], "acts": ["*"], "workspaces": ["default"]}}, "delegator_is_accountable_party"],
	[for(approver("bob"), {}), {approver("dora"): {"person": "bob"}}, "delegation_to_self"],
	[for(approver("bob"), {"tiers": ["medium"]}), {}, "delegation_scope"],
	[for(approver("bob"), {"acts": ["crm.*"]}), {}, "delegation_scope"],
	[for(approver("bob"), {"workspaces": ["team-b"]}), {}, "delegation_scope"],
	[for(approver("bob"), {}), {approver("bob"): {"tiers": ["medium"]}}, "delegator_not_entitled"],
	[for(approver("bob"), {}), {approver("bob"): {"acts": ["crm.*"]}}, "delegator_not_entitled"],
	[for(approver("bob"), {}), {approver("bob"): {"workspaces": ["team-b"]}}, "delegator_not_entitled"],
	[for(approver("bob"), {}), {approver("bob"): {"valid_until": "2026-09-20"}}, "delegator_not_in_force"],
	[for(approver("bob"), {}), {approver("dora"): {"valid_until": "2026-09-20"}}, "approver_not_in_force"],
	[for(approver("bob"), {}), {approver("dora"): {"person": "dave"}}, "approver_operates_requester"],
	[for(approver("bob"), {}), {approver("dora"): {"person": "frank"}}, "approver_is_accountable_party"],
	[for(approver("bob"), {}), {approver("dora"): {"person": 5}}, "approver_unknown"],
	[for(approver("bob"), {"acts": "*"}), {}, "input_malformed"],
	[for(approver("bob"), {"acts": {"a": "*"}}), {}, "input_malformed"],
	[for(approver("bob"), {"tiers": {"a": "high"}}), {}, "input_malformed"],
	[for(approver("bob"), {"workspaces": {"a": "default"}}), {}, "input_malformed"],
	[for(5, {}), {}, "input_malformed"],
]

# The proof and the objections say the same of each: who has an objection does not stand, and who has none does.
test_people_each_fault_of_a_delegation if every fault in delegation_faults {
	doc := given(high, [own("alice"), fault[0]])
	there := with_dora(fault[1])
	refused_for := [{"id": approver("dora"), "reason": fault[2]}]
	ask("call, refused, proof and objections", doc, there) == [fault[2], refused_for, {0}, {1}]
}

test_people_no_delegation_for_critical if {
	doc := given(critical, [own("bob"), for(approver("carol"), {})])
	decided(with_dora({}), [[doc, "delegation_not_allowed"]])
}

# Both people of a delegated approval are used up by it.
test_people_delegator_and_delegate_are_used_up if every pair in [
	[own("alice"), for(approver("alice"), {})],
	[for(approver("alice"), {}), own("alice-mobile")],
	[for(approver("alice"), {}), for(approver("bob"), {})],
] {
	doc := given(high, pair)
	there := with_dora({})
	[decision, result] := ask("call and assessment", doc, there)
	decision.reason == "same_person"
	result.approved == 1
	[one.reason | some one in result.refused] == ["same_person"]
}

# Who was refused for sharing a person has used up nobody: bob counts although dora, who came for him, does not.
test_people_a_refused_approval_uses_up_nobody if {
	doc := given(high, [own("alice"), for(approver("alice"), {}), own("bob")])
	result := ask("assessment", doc, with_dora({}))
	[one.id | some one in result.counted] == [approver("alice"), approver("bob")]
}

test_people_hostile_on_behalf_of if denied_each(
	[given(high, [own("alice"), object.union(own("bob"), {"on_behalf_of": value})]) | some value in [null, 5, "x", [], {}, {"id": approver("bob")}]],
	"input_malformed",
)

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

test_people_dates_need_a_time_of_this_era if {
	there := dated("bob", {"valid_until": "9999-12-31"})
	times := [0, -1, 9000000000, 1e300, "1790000000", true, null]
	docs := [put(high, "/approvals", [high.approvals[0], {"id": approver("bob"), "approved_at": moment}]) | some moment in times]
	reasons_each(docs, there) == ["approver_not_in_force" | some _ in times]
	reasons_each([put(high, "/approvals", [high.approvals[0], {"id": approver("bob"), "approved_at": moment}]) | some moment in [1, 8999999999]], there) == ["ok", "ok"]
}
