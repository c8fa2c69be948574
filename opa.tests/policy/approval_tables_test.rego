# Tables with many rows about `approval.rego`. The pipeline and the mutation tool run them; an activation does not.
package atb_test

test_approval_approver_tier if call_in(changed({"approvers": {approver("bob"): {"tiers": ["medium"]}}}), high).reason == "approver_tier"

test_approval_for_every_tier if every doc in [low, medium, high, critical] {
	result := assessment(signed(doc, ["alice"]))
	[row.id | some row in result.counted] == [approver("alice")]
}

test_approval_malformed_statements if denied_each(
	[put(high, "/approvals", [value, {"id": approver("bob")}]) | some value in [null, 5, "x", [], {}, {"id": 5}, {"id": null}]],
	"input_malformed",
)

operated_by(person) := changed({"agents": {high.poa.sub: {"operator": person}}})

robot := {"person": "robot", "roles": [], "tiers": ["medium", "high"], "acts": ["*"], "workspaces": ["default"]}

test_approval_assessment_table if every row in [
	[world, by(high, ["alice", "bob"]), [2, 2, [], true]],
	[world, by(high, ["alice"]), [1, 2, [], false]],
	[world, signed(high, ["alice"]), [1, 2, [], false]],
	[entry_of("bob", {"valid_until": today}), put(by(high, ["alice", "bob"]), "/time", high.time + 86400), [1, 2, ["approver_not_in_force"], false]],
	[world, by(high, []), [0, 2, [], false]],
	[world, by(high, ["alice", "alice-mobile"]), [1, 2, ["same_person"], false]],
	[world, by(high, ["alice", "mallory"]), [1, 2, ["approver_unknown"], false]],
	[world, put(medium, "/requires_dual_control", true), [1, 2, [], false]],
	[world, signed(drop(medium, "/poa/leg/approval"), ["alice"]), [1, 2, [], false]],
	[tightened(high, {"approvals": 3}), by(high, ["alice", "bob"]), [2, 3, [], false]],
	[overlaid({"approvals": {"high": {"approvals": 3}}}), by(high, ["alice", "bob"]), [2, 3, [], false]],
	[risky, medium, [1, 2, [], false]],
	[entry_of("bob", {"tiers": []}), by(high, ["alice", "bob"]), [1, 2, ["approver_tier"], false]],
	[entry_of("bob", {"workspaces": []}), by(high, ["alice", "bob"]), [1, 2, ["approver_workspace"], false]],
	[entry_of("bob", {"acts": ["erp.*", "sap.*"]}), by(high, ["alice", "bob"]), [2, 2, [], true]],
	[entry_of("bob", {"acts": ["sap.vendor.change"]}), by(high, ["alice", "bob"]), [2, 2, [], true]],
	[entry_of("bob", {"acts": ["erp.*", "sap.vendor.*"]}), by(high, ["alice", "bob"]), [2, 2, [], true]],
	[entry_of("bob", {"acts": ["erp.*", "sap.order.*"]}), by(high, ["alice", "bob"]), [1, 2, ["approver_act"], false]],
	[entry_of("bob", {"valid_from": today}), by(high, ["alice", "bob"]), [2, 2, [], true]],
	[entry_of("bob", {"valid_until": today}), by(high, ["alice", "bob"]), [2, 2, [], true]],
	[entry_of("bob", {"valid_from": "2026-09-22"}), by(high, ["alice", "bob"]), [1, 2, ["approver_not_in_force"], false]],
	[entry_of("bob", {"valid_until": "2026-09-20"}), by(high, ["alice", "bob"]), [1, 2, ["approver_not_in_force"], false]],
	[world, put(high_alone, "/approvals", [own("alice"), delegated("bob", "carol")]), [2, 2, [], true]],
	[world, put(high_alone, "/approvals", [own("alice"), object.union(delegated("bob", "carol"), {"on_behalf_of": {"tiers": []}})]), [1, 2, ["delegation_scope"], false]],
	[entry_of("bob", {"person": 5}), by(high, ["alice", "bob"]), [1, 2, ["approver_unknown"], false]],
	[entry_of("bob", {"person": []}), by(high, ["alice", "bob"]), [1, 2, ["approver_unknown"], false]],
	[entry_of("bob", {"person": ["bob"]}), by(high, ["alice", "bob"]), [1, 2, ["approver_unknown"], false]],
	[entry_of("bob", {"person": "dave"}), by(high, ["alice", "bob"]), [1, 2, ["approver_operates_requester"], false]],
	[entry_of("bob", {"person": "frank"}), by(high, ["alice", "bob"]), [1, 2, ["approver_is_accountable_party"], false]],
	[world, put(by(high, ["alice", "bob"]), "/poa/leg/accountable_party/id", approver("bob")), [1, 2, ["approver_is_accountable_party"], false]],
	[world, put(by(high, ["alice", "bob"]), "/agent/id", approver("bob")), [1, 2, ["approver_is_requester"], false]],
	[changed({"agents": {approver("bob"): {"operator": "dave"}}}), put(by(high, ["alice", "bob"]), "/poa/sub", approver("bob")), [1, 2, ["approver_is_requester"], false]],
	[changed({"approvers": {high.poa.sub: robot}}), put(by(high, ["bob"]), "/approvals", [{"id": high.poa.sub}, own("bob")]), [1, 2, ["approver_is_requester"], false]],
] {
	assessed(row[0], row[1]) == row[2]
}

test_approval_assessment_needs_somebody_who_operates_the_agent if every person in ["", 5, null, [], ["dave"], {}] {
	assessed(operated_by(person), medium) == [1, 1, [], false]
	assessed(operated_by(person), low) == [0, 0, [], true]
}

crowded := changed({"approvers": {approver(name): object.union(robot, {"person": name}) |
	some name in ["p1", "p2", "p3", "p4", "p5", "p6", "p7", "p8", "p9"]
}})

eight := ["p1", "p2", "p3", "p4", "p5", "p6", "p7", "p8"]

test_approval_assessment_of_nine if {
	assessed(crowded, by(high, eight)) == [8, 2, [], true]
	assessed(crowded, by(high, array.concat(eight, ["p9"]))) == [8, 2, ["approval_too_many"], true]
}

# Whoever came first counts, and nobody counts twice, wherever in the list the second time is.
test_approval_each_person_counts_once_at_every_position if {
	pairs := [[i, k] | some i in numbers.range(0, 6); some k in numbers.range(i + 1, 7)]
	docs := [by(high, [name | some place, one in eight; name := {true: eight[pair[0]], false: one}[place == pair[1]]]) | some pair in pairs]
	results := ask_each("assessment", docs, crowded)
	[result.refused | some result in results] == [[{"id": approver(eight[pair[0]]), "reason": "same_person"}] | some pair in pairs]
	every result in results { result.approved == 7 }
}

# Who is refused because one of the two people of a delegation has been counted uses up neither of them.
test_approval_a_refused_delegation_uses_up_nobody_at_every_position if {
	positions := numbers.range(1, 6)
	docs := [doc |
		some position in positions
		doc := put(by(high, []), "/approvals", array.concat(
			array.concat([own(name) | some name in array.slice(eight, 0, position)], [delegated("p9", "p1")]),
			[own("p9")],
		))
	]
	[[result.approved, [one.reason | some one in result.refused]] | some result in ask_each("assessment", docs, crowded)] == [[position + 1, ["same_person"]] |
		some position in positions
	]
}

delegated(name, other) := object.union(own(name), {"on_behalf_of": object.union(everything, {"id": approver(other)})})

# The form in which the ground must declare who approved: every way in which it can differ, and nothing else is said.
two := high.poa.leg.dual_control

test_approval_shape_table if every row in [
	[put(put(low, "/approvals", medium.approvals), "/poa/leg/approval", medium.poa.leg.approval), ["leg_approval_shape"]],
	[put(low, "/approvals", medium.approvals), ["leg_approval_shape"]],
	[put(low, "/poa/leg/approval", medium.poa.leg.approval), ["leg_approval_shape"]],
	[put(medium, "/poa/leg/dual_control", two), ["approval_missing", "leg_approval_shape"]],
	[put(put(medium, "/poa/leg/dual_control", two), "/approvals", high.approvals), ["leg_approval_shape"]],
	[put(drop(medium, "/poa/leg/approval"), "/approvals", [{}]), ["input_malformed", "approver_unknown", "approval_missing", "leg_approval_shape"]],
	[signed(drop(medium, "/poa/leg/approval"), ["alice"]), ["approval_missing", "leg_approval_shape"]],
	[put(drop(high, "/poa/leg/dual_control"), "/approvals", [own("alice")]), ["approval_missing", "leg_approval_shape"]],
	[put(put(drop(high, "/poa/leg/dual_control"), "/approvals", [own("alice")]), "/poa/leg/approval", medium.poa.leg.approval), ["approval_missing", "leg_approval_shape"]],
	[put(high, "/poa/leg/dual_control/required", false), ["leg_approval_shape"]],
	[put(high, "/poa/leg/dual_control/approvers", {"a": two.approvers[0], "b": two.approvers[1]}), ["leg_approval_shape"]],
	[put(high, "/poa/leg/dual_control/approvers", [two.approvers[0], two.approvers[1], two.approvers[0]]), ["leg_approval_shape"]],
	[put(high, "/poa/leg/dual_control/approvers", [two.approvers[1], two.approvers[0]]), []],
	[put(high, "/poa/leg/dual_control/approvers", [{"id": approver("carol")}, two.approvers[1]]), ["leg_approval_shape"]],
	[put(high, "/poa/leg/dual_control/approvers", [two.approvers[0], two.approvers[1], {"id": approver("carol")}]), ["leg_approval_shape"]],
	[put(high, "/approvals", array.concat(high.approvals, [own("carol")])), ["leg_approval_shape"]],
	[put(high, "/poa/leg/approval", medium.poa.leg.approval), ["leg_approval_shape"]],
	[put(low, "/requires_dual_control", true), ["approval_missing"]],
] {
	rules_of(call(row[0])) == row[1]
}

# Each thing that keeps one approver from counting, for every approver of a call that is otherwise allowed.
entry_faults := [
	[{"tiers": []}, "approver_tier"], [{"workspaces": []}, "approver_workspace"], [{"acts": []}, "approver_act"], [{"acts": ["crm.*"]}, "approver_act"],
	[{"person": 5}, "approver_unknown"], [{"person": "dave"}, "approver_operates_requester"], [{"person": "frank"}, "approver_is_accountable_party"],
	[{"valid_from": "2026-09-22"}, "approver_not_in_force"], [{"valid_until": "2026-09-20"}, "approver_not_in_force"],
	[{"person": high.poa.sub}, "ok"], [{"acts": ["erp.*", "sap.*"]}, "ok"], [{"acts": ["erp.order.*", "sap.vendor.*"]}, "ok"],
]

faulty(name) if every fault in entry_faults {
	there := entry_of(name, fault[0])
	decided(there, [[high, fault[1]], [by_one(name), fault[1]]])
}

test_approval_each_fault_of_the_first_approver if faulty("alice")

test_approval_each_fault_of_the_second_approver if faulty("bob")

by_one(name) := put(put(medium, "/poa/leg/approval/approver_id", approver(name)), "/approvals", [own(name)])

test_approval_each_approver_may_be_the_requester_or_the_accountable_party if {
	every row in [[high.poa.sub, approver("bob")], [approver("alice"), high.poa.sub]] {
		call_in(changed({"approvers": {high.poa.sub: robot}}), signed_by(high, row)).reason == "approver_is_requester"
	}
	decided(changed({"approvers": {high.poa.sub: robot}}), [[put(put(medium, "/poa/leg/approval/approver_id", medium.poa.sub), "/approvals", [{"id": medium.poa.sub}]), "approver_is_requester"]])
	every name in ["alice", "bob"] {
		decided(world, [
			[put(high, "/poa/leg/accountable_party/id", name), "approver_is_accountable_party"],
			[put(high, "/poa/leg/accountable_party/id", approver(name)), "approver_is_accountable_party"],
			[put(by_one(name), "/poa/leg/accountable_party/id", name), "approver_is_accountable_party"],
			[put(by_one(name), "/poa/leg/accountable_party/id", approver(name)), "approver_is_accountable_party"],
		])
	}
}

test_approval_each_approver_may_act_for_another if every row in [
	[world, high, [high.approvals[0], delegated("bob", "carol")]], [world, high, [delegated("alice", "carol"), high.approvals[1]]],
	[world, medium, [delegated("alice", "carol")]],
] {
	narrow := [object.union(one, {"on_behalf_of": object.union(one.on_behalf_of, {"tiers": []})}) | some one in row[2]; one.on_behalf_of]
	plain := [one | some one in row[2]; not one.on_behalf_of]
	decided(row[0], [[put(row[1], "/approvals", row[2]), "ok"], [put(row[1], "/approvals", array.concat(plain, narrow)), "delegation_scope"]])
}

# Whatever asks for more than is there, in each way in which it can be asked.
test_approval_what_asks_for_more_table if every row in [
	[changed({"tiers": {"low": {"approvals": 1}}}), low, "approval_missing"],
	[changed({"tiers": {"low": {"roles": {"finance": 1}}}}), low, "role_missing"],
	[tightened(low, {"roles": {"finance": 1}}), low, "approval_missing"],
	[changed({"tiers": {"medium": {"approvals": 2}}}), medium, "approval_missing"],
	[changed({"tiers": {"medium": {"roles": {"finance": 1}}}}), by_one("bob"), "role_missing"],
	[tightened(medium, {"roles": {"finance": 1}}), by_one("bob"), "role_missing"],
	[changed({"tiers": {"high": {"approvals": 3}}}), high, "approval_missing"],
	[tightened(high, {"approvals": 3}), high, "approval_missing"],
	[changed({"tiers": {"high": {"roles": {"executive": 1}}}}), high, "role_missing"],
	[changed({"tiers": {"high": {"roles": {"finance": 2}}}}), high, "role_missing"],
	[operated_by(""), medium, "agent_operator_unknown"], [operated_by(""), high, "agent_operator_unknown"],
	[operated_by(5), medium, "agent_operator_unknown"], [operated_by(5), high, "agent_operator_unknown"], [operated_by(""), low, "ok"],
	[object.union(tightened(high, {"approvals": 2}), {"tiers": {"high": {"approvals": 3}}}), high, "approval_missing"],
] {
	decided(row[0], [[row[1], row[2]]])
}

test_approval_ticket_table if decided(world, [[put(critical, path, value), "ticket_missing"] |
	some path in ["/poa/leg/ticket/system", "/poa/leg/ticket/ref"]
	some value in ["", 5, null, ["x"]]
])

# Both ends of an entry's days, in seconds: at the time of the call and of the signature.
test_approval_in_force_at_the_first_and_the_last_second_of_a_day if {
	there := entry_of("bob", {"valid_from": today, "valid_until": today})
	morning := seconds("2026-09-21T00:00:00Z")
	night := seconds("2026-09-21T23:59:59Z")
	every row in [[morning, morning, true], [night, morning, true], [night, night, true], [night, morning - 1, false], [night + 1, night, false], [night, night + 1, false]] {
		doc := put(put(high, "/time", row[0]), "/approvals", [own("alice"), {"id": approver("bob"), "approved_at": row[1]}])
		result := ask("assessment", doc, there)
		result.met == row[2]
	}
}

test_approval_roles_missing_in_both_ways if every row in [
	[{"finance": 1}, ["bob", "carol"], {"finance": 1}], [{"finance": 1}, ["alice", "bob"], {}], [{"finance": 2}, ["alice", "bob"], {"finance": 1}],
	[{"finance": 1, "executive": 1}, ["alice", "carol"], {}], [{"finance": 1, "executive": 1}, ["bob"], {"finance": 1, "executive": 1}],
] {
	there := tightened(high, {"roles": row[0]})
	ask("assessment", by(high, row[1]), there).roles_missing == row[2]
	ask("assessment", signed(high, row[1]), there).roles_missing == row[2]
}

# What is proven may be declared; what is no list of approvers declares nobody.
test_approval_a_draft_may_declare_what_is_proven if drafted(world, [
	[put(put(draft_medium, "/poa/leg/approval", medium.poa.leg.approval), "/approvals", medium.approvals), "ok"],
	[put(put(draft_medium, "/poa/leg/approval", medium.poa.leg.approval), "/approvals", [own("bob")]), "leg_approval_shape"],
	[put(put(draft_high, "/poa/leg/dual_control", two), "/approvals", high.approvals), "ok"],
	[put(put(draft_high, "/poa/leg/dual_control", two), "/approvals", [own("alice")]), "leg_approval_shape"],
	[put(draft_high, "/poa/leg/dual_control", {"approvers": 5}), "ok"],
	[put(draft_high, "/poa/leg/dual_control", {"approvers": {"a": two.approvers[0]}}), "ok"],
])

# One that does not count beside enough that do is a sign of tampering.
test_approval_every_one_in_a_mandate_must_count if decided(world, [
	[signed(high, ["alice", "bob", "mallory"]), "approver_unknown"], [signed(high, ["alice", "bob", "alice-mobile"]), "same_person"],
	[signed(high, ["alice", "bob", "carol"]), "ok"],
])

test_approval_attestations_are_proven_by_themselves if decided(sworn, [
	[high, "attestation_missing"], [attests(["called_back"], []), "attestation_missing"], [attests(["called_back"], ["four_eyes"]), "ok"],
])

# Above the threshold of risk an act that nobody need approve asks for one person, in the form for one.
test_approval_of_a_low_act_above_the_threshold if decided(overlaid({"risk_threshold": 14}), [
	[put(put(low, "/approvals", medium.approvals), "/poa/leg/approval", medium.poa.leg.approval), "ok"], [low, "risk_threshold"],
])

high_alone := drop_dual(high)
