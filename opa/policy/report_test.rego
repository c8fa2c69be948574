# What a denial points at, and what a permission obliges to.
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

test_report_sensitive_data_oblige_on_every_way if every class in ["personal", "sensitive"] {
	there := changed({
		"catalogue": {"erp.vendor.read": {"data_class": class}},
		"leg_templates": {"contract": {"data_classes": [class]}},
		"risk": {"base": {"data_class": {"sensitive": {"factor": "data_class:sensitive", "points": 20}}}},
	})
	answers_there := [call_in(there, low), call_in(there, bare), ask("draft", draft_low, there), ask({"gates": every_gate_closed}, low, there)]
	every answer in answers_there {
		[answer.allow, answer.obligations] == [true, [{"type": "redact_response_log"}]]
	}
}
