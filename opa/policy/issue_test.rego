package atb_test

test_issue_low_may_be_issued if may_issue(draft_low)

test_issue_medium_may_be_issued if may_issue(draft_medium)

test_issue_high_may_be_issued if may_issue(draft_high)

test_issue_critical_may_be_issued if may_issue(draft_critical)

test_issue_allow_is_decision_allow if ask("draft allowed", draft_low, world) == true

test_issue_requirement_in_decision if draft(draft_critical).requirement == {
	"required": 2,
	"roles": {"executive": 1},
	"excluded": ["accountable_party", "operator", "requester"],
	"delegable": false,
	"ticket": true,
	"challenge_seconds": 3600,
	"max_ttl_seconds": 120,
}

test_issue_outstanding if {
	draft(draft_low).missing == []
	draft(draft_medium).missing == ["approval"]
	draft(draft_critical).missing == ["approval", "executive"]
}

test_issue_hostile_nothing if refused_outright({})

test_issue_hostile_null if refused_outright(null)

test_issue_hostile_array if refused_outright([])

test_issue_hostile_string if refused_outright("call")

test_issue_hostile_number if refused_outright(7)

test_issue_hostile_true if refused_outright(true)

test_issue_hostile_array_of_objects if refused_outright([{"poa": {}}])

test_issue_call_phase if refused(put(draft_low, "/phase", "call"), "input_malformed")

test_issue_holder if refused(put(draft_low, "/agent/id", "x"), "holder_mismatch")

test_issue_unknown_act if refused(put(draft_low, "/poa/act", "erp.vendor.burn"), "unknown_act")

test_issue_tier if refused(put(draft_high, "/poa/tier", "medium"), "tier_mismatch")

test_issue_ttl_at_cap if may_issue(put(draft_low, "/poa/ttl", 300))

test_issue_ttl_over_cap if refused(put(draft_low, "/poa/ttl", 301), "ttl_too_long")

test_issue_ttl_over_act_cap if refused(put(draft_critical, "/poa/ttl", 121), "ttl_too_long")

test_issue_ttl_zero if refused(put(draft_low, "/poa/ttl", 0), "input_malformed")

test_issue_ttl_text if refused(put(draft_low, "/poa/ttl", "60"), "input_malformed")

test_issue_ttl_absent if refused(drop(draft_low, "/poa/ttl"), "input_malformed")

test_issue_binding_required if refused(drop(draft_high, "/poa/req"), "request_binding_required")

test_issue_binding_without_call if refused(drop(draft_high, "/request"), "request_mismatch")

test_issue_binding_differs if refused(put(draft_high, "/request/digest", "x"), "request_mismatch")

test_issue_act_differs if refused(put(draft_high, "/request/act", "erp.vendor.read"), "act_mismatch")

test_issue_parameters if refused(drop(draft_high, "/request/params/iban"), "missing_parameter")

test_issue_limit if refused(put(draft_high, "/request/params/payment_limit", 250001), "limit_exceeded")

test_issue_constraint_on_named_call if refused(put(draft_high, "/poa/con", {"payment_limit": {"max": 1}}), "constraint_violated")

test_issue_constraint_wider if refused(put(draft_medium, "/poa/con", {"amount": {"max": 50001}}), "constraint_exceeds_limit")

test_issue_constraint_invalid if refused(put(draft_medium, "/poa/con", {"amount": {"around": 5}}), "constraint_invalid")

test_issue_constraint_unknown if refused(put(draft_medium, "/poa/con", {"tier": "low"}), "unknown_constraint")

test_issue_leg if refused(drop(draft_low, "/poa/leg/ref"), "leg_incomplete")

test_issue_ticket if refused(drop(draft_critical, "/poa/leg/ticket"), "ticket_missing")

test_issue_operator if refused(put(put(draft_medium, "/agent/id", "spiffe://atb.dev/agent/new"), "/poa/sub", "spiffe://atb.dev/agent/new"), "agent_operator_unknown")

test_issue_approvals_are_never_supplied if refused(put(draft_medium, "/poa/leg/approval", {"approver_id": approver("alice")}), "leg_approval_shape")

test_issue_dual_control_is_never_supplied if refused(put(draft_high, "/poa/leg/dual_control", {"required": true, "approvers": [{"id": approver("alice")}]}), "leg_approval_shape")

# Every gate closed, as many as there may be.
closed_gates := [set(), set(), set(), set(), set(), set(), set(), set()]

# A hole in the findings must not permit: behind a closed gate the long form decides.
test_issue_closed_gates_without_findings_permit_only_what_holds if ask({"draft_gates": closed_gates}, draft_high, world).allow == true

test_issue_closed_gates_without_findings_or_proof_deny if {
	doc := drop(draft_high, "/poa/req")
	there := world
	answer := ask({"draft_gates": closed_gates}, doc, there) with data.atb.mandate_unbound as set()
	answer.reason == "policy_undefined"
}
