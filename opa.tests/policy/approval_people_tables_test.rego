# Tables with many rows about `approval_people.rego`. The pipeline and the mutation tool run them; an activation does not.
package atb_test

test_people_act_asks_for_two_roles_of_two_people if {
	there := tightened(critical, {"roles": {"finance": 1}})
	call_in(there, critical).missing == ["finance"]
	call_in(there, signed(critical, ["alice", "bob"])).missing == ["executive"]
	call_in(there, signed(critical, ["alice", "carol"])).allow == true
}

# The day of the tests' time.
today := "2026-09-21"

test_people_in_force_on_first_and_last_day if every days in [{"valid_from": today}, {"valid_until": today}, {"valid_from": today, "valid_until": today}] {
	there := dated("bob", days)
	[decision, result] := ask("call and assessment", high, there)
	decision.allow == true
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

test_people_hostile_on_behalf_of if denied_each(
	[given(high, [own("alice"), object.union(own("bob"), {"on_behalf_of": value})]) | some value in [null, 5, "x", [], {}, {"id": approver("bob")}]],
	"input_malformed",
)

test_people_dates_need_a_time_of_this_era if {
	there := dated("bob", {"valid_until": "9999-12-31"})
	times := [0, -1, 9000000000, 1e300, "1790000000", true, null]
	docs := [put(high, "/approvals", [high.approvals[0], {"id": approver("bob"), "approved_at": moment}]) | some moment in times]
	reasons_each(docs, there) == ["approver_not_in_force" | some _ in times]
	reasons_each([put(high, "/approvals", [high.approvals[0], {"id": approver("bob"), "approved_at": moment}]) | some moment in [1, 8999999999]], there) == ["ok", "ok"]
}
