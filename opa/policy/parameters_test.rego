package atb_test

test_parameters_unknown if denied(put(low, "/request/params/force", true), "unknown_parameter")

test_parameters_unknown_is_escaped if call(put(low, "/request/params", {"vendor_id": "V-1001", "a/b~c": 1})).violations[0].pointer == "/request/params/a~1b~0c"

test_parameters_missing if denied(drop(low, "/request/params/vendor_id"), "missing_parameter")

test_parameters_required_null if denied(put(low, "/request/params/vendor_id", null), "missing_parameter")

test_parameters_string_as_number if denied(put(low, "/request/params/vendor_id", 5), "parameter_type")

test_parameters_string_as_true if denied(put(low, "/request/params/vendor_id", true), "parameter_type")

test_parameters_string_as_array if denied(put(low, "/request/params/vendor_id", ["V-1001"]), "parameter_type")

test_parameters_string_as_object if denied(put(low, "/request/params/vendor_id", {"eq": "V-1001"}), "parameter_type")

test_parameters_number_as_string if denied(put(medium, "/request/params/amount", "120"), "parameter_type")

test_parameters_number_as_null_is_missing if denied(put(medium, "/request/params/amount", null), "missing_parameter")

test_parameters_number_as_array if denied(put(medium, "/request/params/amount", [1]), "parameter_type")

test_parameters_number_as_true if denied(put(medium, "/request/params/amount", true), "parameter_type")

test_parameters_integer_as_fraction if denied(put(medium, "/request/params/quantity", 1.5), "parameter_type")

test_parameters_integer_is_a_number if allowed(put(medium, "/request/params/amount", 120))

test_parameters_integer_huge if denied(put(medium, "/request/params/quantity", 1.7e+308), "parameter_type")

test_parameters_integer_as_string if denied(put(medium, "/request/params/quantity", "1"), "parameter_type")

test_parameters_params_array if denied(put(low, "/request/params", []), "input_malformed")

test_parameters_types if {
	data.atb.parameters_typed("boolean", false)
	data.atb.parameters_typed("array", [])
	data.atb.parameters_typed("integer", 3)
	data.atb.parameters_typed("number", 3.5)
}

test_parameters_of_a_call_that_a_draft_names if every row in [
	[put(draft_high, "/request/params", 5), {"constraint_violated /poa/con/payment_limit", "constraint_violated /poa/con/vendor_id", "input_malformed /request/params"}],
	[put(draft_high, "/request/params", {}), {"constraint_violated /poa/con/payment_limit", "constraint_violated /poa/con/vendor_id", "missing_parameter /request/params/iban", "missing_parameter /request/params/payment_limit", "missing_parameter /request/params/vendor_id"}],
	[put(draft_high, "/request", 5), {"act_mismatch /request/act", "constraint_violated /poa/con/payment_limit", "constraint_violated /poa/con/vendor_id", "input_malformed /request", "input_malformed /request/params", "request_mismatch /poa/req/connector", "request_mismatch /poa/req/digest", "request_mismatch /poa/req/method", "request_mismatch /poa/req/path"}],
	[put(draft_high, "/request", []), {"act_mismatch /request/act", "constraint_violated /poa/con/payment_limit", "constraint_violated /poa/con/vendor_id", "input_malformed /request", "input_malformed /request/params", "request_mismatch /poa/req/connector", "request_mismatch /poa/req/digest", "request_mismatch /poa/req/method", "request_mismatch /poa/req/path"}],
	[put(draft_high, "/request/params/iban", 5), {"parameter_type /request/params/iban"}],
	[put(draft_high, "/request/params/none", 5), {"unknown_parameter /request/params/none"}],
	[put(draft_high, "/request/params/iban", null), {"missing_parameter /request/params/iban", "parameter_type /request/params/iban"}],
	[put(draft_high, "/request/params/payment_limit", 250001), {"constraint_violated /poa/con/payment_limit", "limit_exceeded /request/params/payment_limit"}],
	[put(draft_high, "/request/params/vendor_id", "V-1"), {"constraint_violated /poa/con/vendor_id"}],
	[put(draft_high, "/request/act", "erp.vendor.read"), {"act_mismatch /request/act"}],
	[put(draft_low, "/request", {}), {"act_mismatch /request/act", "input_malformed /request/params"}],
	[put(draft_low, "/request", false), {"act_mismatch /request/act", "input_malformed /request", "input_malformed /request/params"}],
	[put(draft_low, "/request", null), set()],
] {
	said(draft(row[0])) == row[1]
}
