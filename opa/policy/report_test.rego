# What a denial points at, and what a permission obliges to.
package atb_test

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

# All that a denial says, no less and no more: each rule with the place it points at.
said(decision) := {concat(" ", [violation.rule, violation.pointer]) | some violation in decision.violations}

unknown_act(doc) := put(doc, "/poa/act", "erp.vendor.burn")
