package atb_test

# Ordering from this vendor is a privileged target.
risky := changed({"catalogue": {"erp.order.create": {"privileged": {"vendor_id": ["V-1001", "V-1002"]}}}})

# The same order, approved as a critical act asks.
full := object.union(drop(medium, "/poa/leg/approval"), {
	"poa": {"leg": {"ticket": {"system": "jira", "ref": "SEC-1"}, "dual_control": critical.poa.leg.dual_control}},
	"approvals": critical.approvals,
})

test_privileged_asks_for_the_critical_tier if {
	decision := call_in(risky, medium)
	decision.allow == false
	decision.reason == "privileged_target"
	decision.violations[0].pointer == "/request/params/vendor_id"
	decision.missing == ["approval", "executive", "ticket"]
	decision.tier == "medium"
}

test_privileged_with_all_of_it_is_allowed if call_in(risky, full).allow == true

test_privileged_table if every row in [
	[drop(full, "/poa/leg/ticket"), "privileged_target"],
	[signed(full, ["alice", "bob"]), "privileged_target"],
	[signed(full, ["carol"]), "privileged_target"],
	[put(medium, "/request/params/vendor_id", "V-1003"), "ok"],
	[put(full, "/request/params/vendor_id", "V-1002"), "ok"],
	[put(medium, "/request/params/vendor_id", "V-1002"), "privileged_target"],
] {
	call_in(risky, row[0]).reason == row[1]
}

test_privileged_is_never_delegated if {
	decision := call_in(risky, put(full, "/approvals", [
		critical.approvals[0],
		object.union(critical.approvals[1], {"on_behalf_of": {"id": approver("carol"), "tiers": ["medium"], "acts": ["*"], "workspaces": ["default"]}}),
	]))
	decision.allow == false
}

test_privileged_draft_by_its_call_and_not_by_its_constraints if {
	there := changed({"catalogue": {"sap.vendor.change": {"privileged": {"vendor_id": ["V-1001"], "reason": ["x"]}}}})
	answer := ask("draft", put(draft_high, "/poa/leg/ticket", {"system": "jira", "ref": "SEC-1"}), there)
	answer.allow == true
	[answer.requirement.roles, answer.requirement.ticket, answer.requirement.delegable] == [{"executive": 1}, true, false]
	other := ask("draft", put(draft_high, "/request/params/vendor_id", "V-1009"), there)
	other.requirement.ticket == false
}

test_privileged_draft_without_a_ticket if {
	answer := ask("draft", draft_medium, changed({"catalogue": {"erp.order.create": {"privileged": {"currency": ["EUR"]}}}}))
	answer.reason == "ticket_missing"
}

test_privileged_member_of_a_list if {
	there := changed({"catalogue": {"erp.order.create": {"privileged": {"item": ["admin"]}, "parameters": {"properties": {"item": {"type": "array"}}}}}})
	call_in(there, put(medium, "/request/params/item", ["user", "admin"])).reason == "privileged_target"
	call_in(there, put(medium, "/request/params/item", ["user"])).allow == true
}

# A constraint whose list is none names no privileged value; it is refused for its form.
test_privileged_draft_with_a_list_that_is_none if every list in [5, null, "EUR", {"a": "EUR"}] {
	there := changed({"catalogue": {"erp.order.create": {"privileged": {"currency": ["EUR"]}}}})
	answer := ask("draft", put(draft_medium, "/poa/con/currency", {"in": list}), there)
	[answer.reason, answer.requirement.required, answer.requirement.ticket] == ["constraint_invalid", 1, false]
}
