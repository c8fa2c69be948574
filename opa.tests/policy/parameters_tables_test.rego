# Tables with many rows about `parameters.rego`. The pipeline and the mutation tool run them; an activation does not.
package atb_test

# An order whose quantity nobody limits, so that the bounds of whole numbers are seen.
integers := [
	[0, "ok"], [-1, "ok"], [9007199254740991, "ok"], [-9007199254740991, "ok"], [9007199254740992, "parameter_type"], [-9007199254740992, "parameter_type"],
	[9007199254740994, "parameter_type"], [-9007199254740994, "parameter_type"], [1e300, "parameter_type"], [-1e300, "parameter_type"],
	[0.5, "parameter_type"], [-0.5, "parameter_type"], ["1", "parameter_type"], [true, "parameter_type"], [[], "parameter_type"], [{}, "parameter_type"], [null, "missing_parameter"],
]

test_parameters_integers_of_a_call if decided(limited_to({}), [[ordering({"quantity": row[0]}, {}), row[1]] | some row in integers])

test_parameters_integers_of_a_draft if drafted(limited_to({}), [[naming({"quantity": row[0]}, {}), row[1]] | some row in integers])

types_rows := [
	[{"item": 5}, "parameter_type"], [{"item": ""}, "ok"], [{"amount": "5"}, "parameter_type"], [{"amount": 0.5}, "ok"], [{"tags": []}, "ok"], [{"tags": {}}, "parameter_type"],
	[{"tags": 5}, "parameter_type"], [{"urgent": 1}, "parameter_type"], [{"urgent": false}, "ok"], [{"more": {}}, "ok"], [{"more": []}, "parameter_type"], [{"more": null}, "parameter_type"],
	[{"none": null}, "unknown_parameter"], [{"none": 1}, "unknown_parameter"],
]

test_parameters_types_table if {
	decided(typed, [[ordering(row[0], {}), row[1]] | some row in types_rows])
	drafted(typed, [[naming(row[0], {}), row[1]] | some row in types_rows])
}

test_parameters_of_an_act_that_asks_for_none if {
	there := put(world, "/catalogue/erp.vendor.read/parameters/required", [])
	decided(there, array.concat(
		[[put(low, "/request/params", value), "input_malformed"] | some value in [null, 5, "x", [], ["x"], true]],
		[[put(low, "/request/params", {}), "ok"], [put(low, "/request/params", {"x": 1}), "unknown_parameter"]],
	))
}

test_parameters_says_what_is_wrong_and_where if every row in [
	[world, put(low, "/request/params", 5), {"input_malformed /request/params"}],
	[world, put(low, "/request/params", "x"), {"input_malformed /request/params"}],
	[world, put(low, "/request/params", ["x"]), {"input_malformed /request/params"}],
	[world, put(low, "/request/params", null), {"input_malformed /request/params"}],
	[world, put(low, "/request/params", {}), {"missing_parameter /request/params/vendor_id"}],
	[world, put(medium, "/request/params", {"amount": "5", "none": 1, "item": null}), {"constraint_violated /poa/con/amount", "constraint_violated /poa/con/currency", "limit_exceeded /request/params/amount", "missing_parameter /request/params/currency", "missing_parameter /request/params/item", "missing_parameter /request/params/quantity", "missing_parameter /request/params/vendor_id", "parameter_type /request/params/amount", "parameter_type /request/params/item", "unknown_parameter /request/params/none"}],
	[world, put(low, "/request", 5), {"act_mismatch /request/act", "input_malformed /request", "input_malformed /request/params"}],
	[world, put(low, "/request/params", {"vendor_id": null, "x": true}), {"missing_parameter /request/params/vendor_id", "parameter_type /request/params/vendor_id", "unknown_parameter /request/params/x"}],
	[world, put(low, "/request/params", {"vendor_id": {}}), {"parameter_type /request/params/vendor_id"}],
	[world, put(put(bare, "/request/params", {}), "/poa", null), {"missing_parameter /request/params/vendor_id"}],
	[world, put(bare, "/request/params", 5), {"input_malformed /request/params"}],
	[world, put(bare, "/request/params", {"vendor_id": 5, "x": 5}), {"parameter_type /request/params/vendor_id", "unknown_parameter /request/params/x"}],
] {
	said(call_in(row[0], row[1])) == row[2]
}
