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

# The long forms that the world decides, each alone where the findings say nothing.
test_poa_long_forms_of_the_world_deny_by_themselves if every row in [
	[bound_to({"connectors": ["crm"]}), 0, low], [overlaid({"denied": ["*"]}), 9, low], [overlaid({"limits": {"erp.vendor.read": {"vendor_id": {"max_length": 1}}}}), 9, low],
	[world, 0, put(low, "/agent/id", "x")], [world, 0, put(low, "/request/act", "x")], [world, 2, put(low, "/request/params/x", 1)], [world, 3, put(low, "/poa/con", {"none": 1})],
	[world, 6, put(medium, "/poa/leg/approval/approver_id", "x")], [sworn, 6, high], [put(world, "/tiers", {"medium": world.tiers.medium}), 0, low],
] {
	gates := [gate | some i in numbers.range(0, 9); gate := {1 | i != row[1]}]
	there := row[0]
	answer := ask({"gates": gates}, row[2], there) with data.reasons as {"policy_undefined": data.reasons.policy_undefined}
	[answer.allow, answer.reason] == [false, "policy_undefined"]
}

# Everything that a decision rests on, in order, where layers beyond the base apply.
rested_on(there, doc) := array.slice(decision.matched, 2, 99) if decision := ask("call", doc, there)

layered := changed({
	"workspaces": {"default": {"team": "payments", "risk_threshold": 14, "hours": {"acts": ["erp.vendor.*"], "calendar": "moon"}}},
	"environments": {"staging": {"rates": [{"acts": ["*"], "per": "act", "window": 60, "max": 5}]}, "development": {"hours": {"acts": ["crm.*"], "calendar": "sun"}}},
	"freezes": {"now": span({"from": "2026-09-01T00:00:00Z"}), "later": span({}), "others": span({"from": "2026-09-01T00:00:00Z", "acts": ["crm.*"]})},
	"maintenance": {"w": span({}), "others": span({"acts": ["crm.*"]})},
})

test_poa_matched_table if every row in [
	[low, ["template:contract@1.0.0", "workspace:default", "environment:production", "freeze:now", "maintenance:w", "calendar:moon", "overlay:workspace:default", "team:payments", "risk:threshold"]],
	[
		put(low, "/environment", "staging"),
		["template:contract@1.0.0", "workspace:default", "environment:staging", "freeze:now", "maintenance:w", "calendar:moon", "rate:act/60", "overlay:environment:staging", "overlay:workspace:default", "team:payments"],
	],
	[put(low, "/environment", "development"), ["template:contract@1.0.0", "workspace:default", "environment:development", "freeze:now", "maintenance:w", "calendar:moon", "overlay:environment:development", "overlay:workspace:default", "team:payments"]],
	[put(put(low, "/poa/leg/template/id", "bogus"), "/workspace", ""), ["environment:production", "freeze:now", "maintenance:w"]],
	[put(low, "/workspace", 5), ["template:contract@1.0.0", "environment:production", "freeze:now", "maintenance:w"]],
	[bare, ["workspace:default", "environment:production", "freeze:now", "maintenance:w", "calendar:moon", "overlay:workspace:default", "team:payments", "risk:threshold"]],
] {
	rested_on(layered, row[0]) == row[1]
}

test_poa_matched_of_a_call_without_a_mandate if every row in [["production", 15], ["staging", 10], ["development", 5]] {
	decision := call(put(bare, "/environment", row[0]))
	decision.matched == ["act:erp.vendor.read", "tier:low", "workspace:default", concat(":", ["environment", row[0]]), "allowlist:low_risk"]
	[decision.allow, decision.risk.score] == [true, row[1]]
}
