package atb_test

drop_dual(doc) := drop(doc, "/poa/leg/dual_control") if doc.poa.leg.dual_control

else := doc

test_approval_medium_needs_one if denied(put(drop(medium, "/poa/leg/approval"), "/approvals", []), "approval_missing")

test_approval_high_needs_two if denied(signed(high, ["alice"]), "approval_missing")

test_approval_high_needs_any if denied(put(drop(high, "/poa/leg/dual_control"), "/approvals", []), "approval_missing")

test_approval_critical_needs_executive if denied(signed(critical, ["alice", "bob"]), "role_missing")

test_approval_critical_needs_ticket if denied(drop(critical, "/poa/leg/ticket"), "ticket_missing")

test_approval_ticket_empty if denied(put(critical, "/poa/leg/ticket/ref", ""), "ticket_missing")

test_approval_ticket_number if denied(put(critical, "/poa/leg/ticket/system", 5), "ticket_missing")

test_approval_medium_by_dual_control if allowed(signed(drop(medium, "/poa/leg/approval"), ["alice", "bob"]))

test_approval_three_approvers if allowed(signed(critical, ["alice", "bob", "carol"]))

test_approval_any_pair_for_high if allowed(signed(high, ["bob", "carol"]))

test_approval_missing_names_all if call(put(drop(drop(critical, "/poa/leg/dual_control"), "/poa/leg/ticket"), "/approvals", [])).missing == ["approval", "executive", "ticket"]

test_approval_same_person_twice if denied(signed(high, ["alice", "alice-mobile"]), "same_person")

test_approval_same_identity_twice if denied(signed(high, ["alice", "alice"]), "same_person")

test_approval_unknown if denied(signed(high, ["alice", "mallory"]), "approver_unknown")

test_approval_requester if denied(signed_by(high, [approver("alice"), high.poa.sub]), "approver_is_requester")

test_approval_agent_operated_by_nobody if denied(put(put(medium, "/agent/id", "spiffe://atb.dev/agent/new"), "/poa/sub", "spiffe://atb.dev/agent/new"), "agent_operator_unknown")

test_approval_operator_of_the_agent if call_in(put(world, "/agents", {high.poa.sub: {"operator": "alice", "workspace": "default"}}), high).reason == "approver_operates_requester"

test_approval_operator_not_text if call_in(put(world, "/agents", {high.poa.sub: {"operator": 5, "workspace": "default"}}), high).reason == "agent_operator_unknown"

test_approval_accountable_party if denied(put(high, "/poa/leg/accountable_party/id", "bob"), "approver_is_accountable_party")

test_approval_accountable_party_by_identity if denied(put(high, "/poa/leg/accountable_party/id", approver("bob")), "approver_is_accountable_party")

test_approval_approver_act if call_in(changed({"approvers": {approver("bob"): {"acts": ["crm.*"]}}}), high).reason == "approver_act"

test_approval_approver_workspace if call_in(changed({"approvers": {approver("bob"): {"workspaces": ["team-b"]}}}), high).reason == "approver_workspace"

test_approval_approver_person_not_text if call_in(changed({"approvers": {approver("bob"): {"person": 5}}}), high).reason == "approver_unknown"

test_approval_not_for_this_tier if {
	doc := put(low, "/approvals", [{"id": approver("alice")}])
	there := changed({"approvers": {approver("alice"): {"tiers": ["medium"]}}})
	call_in(there, doc).reason == "approver_tier"
}

test_approval_proven_but_not_declared if denied(put(medium, "/approvals", [{"id": approver("alice")}, {"id": approver("bob")}]), "leg_approval_shape")

test_approval_declared_but_not_proven if denied(put(high, "/approvals", [{"id": approver("alice")}, {"id": approver("carol")}]), "leg_approval_shape")

test_approval_single_approval_is_not_dual_control if denied(put(drop(high, "/poa/leg/dual_control"), "/poa/leg/approval", {"approver_id": approver("alice")}), "leg_approval_shape")

test_approval_dual_control_not_required if denied(put(high, "/poa/leg/dual_control/required", "true"), "leg_approval_shape")

test_approval_dual_control_as_array if denied(put(high, "/poa/leg/dual_control", []), "leg_approval_shape")

test_approval_dual_control_and_approval if denied(put(high, "/poa/leg/approval", {"approver_id": approver("alice")}), "leg_approval_shape")

test_approval_medium_names_another if denied(put(medium, "/poa/leg/approval/approver_id", approver("bob")), "leg_approval_shape")

test_approval_declared_on_low if denied(put(low, "/poa/leg/approval", {"approver_id": approver("alice")}), "leg_approval_shape")

test_approval_flag_raises_the_number if denied(put(medium, "/requires_dual_control", true), "approval_missing")

test_approval_requirement_by_tier if every row in [[low, 0, {}, false], [medium, 1, {}, false], [high, 2, {}, false], [critical, 2, {"executive": 1}, true]] {
	asked := requirement(put(drop_dual(row[0]), "/requires_dual_control", false))
	asked.required == row[1]
	asked.roles == row[2]
	asked.delegable == row[3] == false
	asked.excluded == ["accountable_party", "operator", "requester"]
	asked.ticket == row[3]
	asked.challenge_seconds == 3600
}

test_approval_requirement_raised if every doc in [low, medium, high, critical] {
	asked := requirement(put(doc, "/requires_dual_control", true))
	asked.required == 2
}

test_approval_requirement_of_unknown_act if {
	asked := anywhere("requirement", {})
	asked == null
}

test_approval_assessment_met if {
	result := assessment(signed(critical, ["carol", "alice"]))
	result == {
		"counted": [
			{"id": approver("carol"), "person": "carol", "roles": ["executive"]},
			{"id": approver("alice"), "person": "alice", "roles": ["finance"]},
		],
		"refused": [],
		"approved": 2,
		"required": 2,
		"roles_missing": {},
		"met": true,
	}
}

test_approval_assessment_first_identity_counts if {
	result := assessment(signed(critical, ["alice-mobile", "alice"]))
	result.refused == [{"id": approver("alice"), "reason": "same_person"}]
	result.approved == 1
	result.met == false
}

test_approval_assessment_each_once if {
	result := assessment(signed(critical, ["alice", "alice", "mallory", "mallory"]))
	[row.reason | some row in result.refused] == ["same_person", "approver_unknown", "approver_unknown"]
}

test_approval_assessment_role_missing if {
	result := assessment(signed(critical, ["alice", "bob"]))
	result.roles_missing == {"executive": 1}
	result.met == false
}

test_approval_assessment_low_is_met if {
	result := assessment(low)
	result.met == true
}

test_approval_assessment_is_total if every doc in [{}, null, [], "x", 5, {"approvals": "x"}, {"approvals": [null, 5]}, {"poa": []}] {
	result := anywhere("assessment", doc)
	count(result) == 6
	result.met == false
}

test_approval_ineligible_identity_does_not_hide_person if {
	there := changed({"approvers": {approver("alice"): {"tiers": []}}})
	result := ask("assessment", signed(high, ["alice", "alice-mobile"]), there)
	[row.id | some row in result.counted] == [approver("alice-mobile")]
	result.refused == [{"id": approver("alice"), "reason": "approver_tier"}]
}

test_approval_act_by_deep_family if {
	there := changed({"approvers": {approver("bob"): {"acts": ["sap.vendor.*"]}}})
	call_in(there, high).allow == true
}

test_approval_act_by_family if {
	there := changed({"approvers": {approver("bob"): {"acts": ["sap.*"]}}})
	call_in(there, high).allow == true
}

test_approval_act_of_other_family if {
	there := changed({"approvers": {approver("bob"): {"acts": ["erp.*", "sap.order.*"]}}})
	call_in(there, high).reason == "approver_act"
}

test_approval_order_of_statements if allowed(put(high, "/approvals", [{"id": approver("bob")}, {"id": approver("alice")}]))

test_approval_each_fault_is_listed if {
	decision := call(signed_by(high, [approver("mallory"), high.poa.sub]))
	pointers := {[one.rule, one.pointer] | some one in decision.violations}
	["approver_unknown", "/approvals/0"] in pointers
	["approver_is_requester", "/approvals/1"] in pointers
}

# An assessment is worked out in a short way where everybody counts in her own name, at length otherwise. The rows leave the
# short way by one thing each: what is asked, who is refused and why, and whether it is enough.
by(doc, names) := put(drop_dual(doc), "/approvals", [own(name) | some name in names])

entry_of(name, members) := changed({"approvers": {approver(name): members}})

assessed(there, doc) := [result.approved, result.required, [one.reason | some one in result.refused], result.met] if {
	result := ask("assessment", doc, there)
}

test_approval_what_has_no_name_is_not_listed_as_refused if every id in [5, null, ["x"], {}] {
	assessed(world, put(medium, "/approvals", [{"id": id}])) == [0, 1, [], false]
}

test_approval_assessment_of_what_is_no_list if every value in [null, 5, "x", true, {}, {"x": own("alice")}] {
	assessed(world, put(medium, "/approvals", value)) == [0, 1, [], false]
}

# Nobody can be told from an accountable party that is not named.
test_approval_assessment_without_an_accountable_party_counts_nobody if {
	doc := drop(by(high, ["alice", "bob"]), "/poa/leg/accountable_party/id")
	assessed(world, doc) == [0, 2, ["policy_undefined", "policy_undefined"], false]
}

# A class of roles is what the data say is in it.
test_approval_a_role_that_is_struck_out_of_its_class_is_none if {
	there := put(tightened(high, {"roles": {"finance": 1}}), "/roles", {"finance": {"finance": false}, "executive": {"executive": true}})
	call_in(there, high).reason == "role_missing"
	[vote.roles | some vote in ask("assessment", by(high, ["alice", "carol"]), there).counted] == [[], ["executive"]]
	[vote.roles | some vote in ask("assessment", signed(high, ["alice", "carol"]), there).counted] == [[], ["executive"]]
}

test_approval_assessment_of_an_unknown_act_is_empty if {
	nothing := {"counted": [], "refused": [], "approved": 0, "required": 0, "roles_missing": {}, "met": false}
	every doc in [{}, null, [], low.request, put(drop(medium, "/approvals"), "/poa/act", "erp.vendor.burn")] { anywhere("assessment", doc) == nothing }
}

# By itself, so that the short way is seen to be taken.
test_approval_assessment_of_an_approver_for_a_family if {
	there := entry_of("bob", {"acts": ["erp.*", "sap.*"]})
	assessed(there, by(high, ["alice", "bob"])) == [2, 2, [], true]
}
