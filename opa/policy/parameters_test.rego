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
