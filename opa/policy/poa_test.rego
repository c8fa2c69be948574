package atb_test

test_poa_low_allowed if allowed(low)

test_poa_medium_allowed if allowed(medium)

test_poa_high_allowed if allowed(high)

test_poa_critical_allowed if allowed(critical)

test_poa_low_tier_in_decision if call(low).tier == "low"

test_poa_medium_tier_in_decision if call(medium).tier == "medium"

test_poa_high_tier_in_decision if call(high).tier == "high"

test_poa_critical_tier_in_decision if call(critical).tier == "critical"

test_poa_hostile_nothing if denied({}, "input_malformed")

test_poa_hostile_null if denied(null, "input_malformed")

test_poa_hostile_array if denied([], "input_malformed")

test_poa_hostile_string if denied("call", "input_malformed")

test_poa_hostile_number if denied(7, "input_malformed")

test_poa_hostile_true if denied(true, "input_malformed")

test_poa_hostile_huge_number if denied(1e300, "input_malformed")

test_poa_hostile_array_of_objects if denied([{"poa": {}}], "input_malformed")

test_poa_absent_poa if denied(drop(low, "/poa"), "input_malformed")

test_poa_hostile_member_poa if every value in [null, 5, -1, 1e300, "x", [], {}, [null], {"a": {}}] {
	doc := put(critical, "/poa", value)
	decision := anywhere("call", doc)
	is_boolean(decision.allow)
	count(decision) == 8
}

test_poa_absent_agent if denied(drop(low, "/agent"), "input_malformed")

test_poa_hostile_member_agent if every value in [null, 5, -1, 1e300, "x", [], {}, [null], {"a": {}}] {
	doc := put(critical, "/agent", value)
	decision := anywhere("call", doc)
	is_boolean(decision.allow)
	count(decision) == 8
}

test_poa_absent_request if denied(drop(low, "/request"), "input_malformed")

test_poa_hostile_member_request if every value in [null, 5, -1, 1e300, "x", [], {}, [null], {"a": {}}] {
	doc := put(critical, "/request", value)
	decision := anywhere("call", doc)
	is_boolean(decision.allow)
	count(decision) == 8
}

test_poa_absent_approvals if denied(drop(low, "/approvals"), "input_malformed")

test_poa_hostile_member_approvals if every value in [null, {}, [null], {"a": {}}, true] {
	doc := put(critical, "/approvals", value)
	decision := anywhere("call", doc)
	decision.allow == false
	count(decision) == 8
}

test_poa_absent_time if denied(drop(low, "/time"), "input_malformed")

test_poa_hostile_member_time if every value in [null, {}, [null], {"a": {}}, true] {
	doc := put(critical, "/time", value)
	decision := anywhere("call", doc)
	decision.allow == false
	count(decision) == 8
}

test_poa_absent_workspace if denied(drop(low, "/workspace"), "input_malformed")

test_poa_hostile_member_workspace if every value in [null, {}, [null], {"a": {}}, true] {
	doc := put(critical, "/workspace", value)
	decision := anywhere("call", doc)
	decision.allow == false
	count(decision) == 8
}

test_poa_absent_flag if denied(drop(low, "/requires_dual_control"), "input_malformed")

test_poa_hostile_member_flag if every value in [null, 5, -1, 1e300, "x", [], {}, [null], {"a": {}}] {
	doc := put(critical, "/requires_dual_control", value)
	decision := anywhere("call", doc)
	is_boolean(decision.allow)
	count(decision) == 8
}

test_poa_absent_phase if denied(drop(low, "/phase"), "input_malformed")

test_poa_hostile_member_phase if every value in [null, 5, -1, 1e300, "x", [], {}, [null], {"a": {}}] {
	doc := put(critical, "/phase", value)
	decision := anywhere("call", doc)
	is_boolean(decision.allow)
	count(decision) == 8
}

test_poa_issue_phase_is_not_a_call if denied(put(low, "/phase", "issue"), "input_malformed")

test_poa_denial_lists_all if rules_of(call(put(put(low, "/poa/tier", "high"), "/agent/id", "x"))) == ["holder_mismatch", "tier_mismatch"]

test_poa_allow_is_decision_allow if ask("call allowed", low, world) == true

test_poa_allow_false if anywhere("call allowed", {}) == false

test_poa_detail_is_text if every violation in anywhere("call", {}).violations { violation.detail != "" }

test_poa_every_reason_has_its_own_rank if count({row.rank | some row in data.reasons}) == count(data.reasons)

test_poa_personal_data_obliges if {
	doc := put(put(medium, "/poa/act", "hr.employee.view_limited"), "/request", {"connector": "hr", "method": "GET", "path": "/e", "act": "hr.employee.view_limited", "params": {"employee_id": "E-1000"}, "digest": "sha-256:0"})
	call(put(doc, "/poa/con", {})).obligations == [{"type": "redact_response_log"}]
}

test_poa_personal_data_obliges_where_all_gates_are_open if {
	personal := call_in(changed({"catalogue": {"erp.vendor.read": {"data_class": "personal"}}}), low)
	[personal.allow, personal.obligations] == [true, [{"type": "redact_response_log"}]]
}

test_poa_undefined_policy_says_so if data.atb.report_undefined.reason == "policy_undefined"

# A hole in the findings must not permit: behind a closed gate the long form decides.
test_poa_closed_gates_without_findings_permit_only_what_holds if {
	closed := [set(), set(), set(), set(), set(), set(), set(), set(), set(), set()]
	answer := ask({"gates": closed}, high, world)
	answer.allow == true
}

test_poa_closed_gate_without_findings_or_proof_denies if {
	closed := [{1}, {1}, {1}, {1}, {1}, {1}, set(), {1}, {1}, {1}]
	answer := ask({"gates": closed}, drop(high, "/poa/leg/dual_control"), world) with data.atb.approval_explained as set()
	answer.allow == false
	answer.reason == "policy_undefined"
}

test_poa_closed_binding_without_findings_or_proof_denies if {
	closed := [{1}, {1}, {1}, {1}, {1}, {1}, {1}, {1}, set(), {1}]
	answer := ask({"gates": closed}, drop(high, "/poa/req"), world) with data.atb.mandate_unbound as set()
	answer.reason == "policy_undefined"
}

test_poa_matched if call(medium).matched == ["act:erp.order.create", "tier:medium", "template:contract@1.0.0", "workspace:default", "environment:production"]

test_poa_matched_shows_no_name_that_the_data_do_not_know if {
	doc := put(put(medium, "/poa/act", "erp.order.burn"), "/poa/leg/template/id", "bogus")
	call(doc).matched == ["workspace:default", "environment:production"]
	call(put(medium, "/poa/leg/template/id", "bogus")).matched == ["act:erp.order.create", "tier:medium", "workspace:default", "environment:production"]
	call(put(medium, "/poa/leg/template/version", "9")).matched == call(medium).matched
	call(put(medium, "/environment", "moon")).matched == ["act:erp.order.create", "tier:medium", "template:contract@1.0.0", "workspace:default"]
}

# Every member, at any depth, as another type and absent: an answer, and the right kind of it.
test_poa_any_type_at_any_position_has_one_answer if every path in [
	"/agent/id", "/agent/platform", "/poa/sub", "/poa/act", "/poa/con", "/poa/leg", "/poa/tier", "/poa/exp", "/poa/iat", "/poa/nbf", "/poa/req",
	"/poa/leg/dual_control", "/poa/leg/template", "/poa/leg/accountable_party", "/request/act", "/request/params", "/request/path",
	"/environment", "/counters", "/unmandated",
] {
	every value in [null, 7, [], {}] {
		decision := anywhere("call", put(low, path, value))
		count(decision) == 8
		decision.reason != "policy_undefined"
	}
	anywhere("call", drop(low, path)).reason != "policy_undefined"
}

# A finding whose reason has no rank must not vanish into a permission.
test_poa_finding_without_a_rank_does_not_permit if {
	there := overlaid({"denied": ["*"]})
	answer := ask("call", medium, there) with data.reasons as json.remove(data.reasons, ["act_denied_here"])
	[answer.allow, answer.reason] == [false, "policy_undefined"]
}

test_issue_finding_without_a_rank_does_not_permit if {
	there := overlaid({"denied": ["*"]})
	answer := ask("draft", draft_medium, there) with data.reasons as json.remove(data.reasons, ["act_denied_here"])
	[answer.allow, answer.reason] == [false, "policy_undefined"]
}
