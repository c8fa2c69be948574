# Tables with many rows about `constraints.rego`. The pipeline and the mutation tool run them; an activation does not.
package atb_test

test_constraints_con_scalar_kept if allowed(put(put(medium, "/poa/con", {"amount": 150}), "/request/params/amount", 150))

# What an agent writes is not evaluated as a pattern, even one that would match.
test_constraints_con_has_no_pattern if denied_each([put(medium, "/poa/con", {"item": {"pattern": pattern}}) | some pattern in ["^bolt", ".*", "(", 5, null, true]], "constraint_invalid")

test_constraints_limit_operators_table if every row in [
	[{"pattern": "^bolts$"}, "ok"], [{"pattern": "^bolt$"}, "limit_exceeded"], [{"pattern": "("}, "limit_exceeded"], [{"pattern": 5}, "limit_exceeded"],
	[{"min_length": 5}, "ok"], [{"min_length": 6}, "limit_exceeded"], [{"max_length": 5}, "ok"], [{"max_length": 4}, "limit_exceeded"],
	[{"min_length": 5, "max_length": 5, "pattern": "s$"}, "ok"], [{"in": ["bolts", "nuts"]}, "ok"], [{"in": ["nuts"]}, "limit_exceeded"],
	["bolts", "ok"], ["nuts", "limit_exceeded"], [{"eq": "bolts"}, "ok"],
] {
	call_in(spelled(row[0]), medium).reason == row[1]
}

ordering(params, con) := put(put(medium, "/request/params", object.union(medium.request.params, params)), "/poa/con", con)

drafting(con) := put(draft_medium, "/poa/con", con)

# A draft that names its call.
naming(params, con) := put(drafting(con), "/request", ordering(params, con).request)

# Input and reason of a call, on every way; the same constraint in a draft without a call.
typed_rows := [
	[{}, {"amount": 120.5}, "ok", "ok"], [{}, {"amount": {"eq": 120.5}}, "ok", "ok"], [{}, {"amount": {"in": [120.5]}}, "ok", "ok"],
	[{}, {"amount": {"min": 120.5}}, "ok", "ok"], [{}, {"amount": {"max": 120.5}}, "ok", "ok"], [{}, {"amount": {"max": 50000}}, "ok", "ok"],
	[{}, {"amount": {"max": 50001}}, "constraint_exceeds_limit", "constraint_exceeds_limit"], [{}, {"amount": {"max": 120}}, "constraint_violated", "ok"],
	[{}, {"amount": 50001}, "constraint_exceeds_limit", "constraint_exceeds_limit"], [{}, {"amount": {"in": [120.5, 50001]}}, "constraint_exceeds_limit", "constraint_exceeds_limit"],
	[{}, {"quantity": {"max": 10}}, "ok", "ok"], [{}, {"quantity": {"min": 10}}, "ok", "ok"], [{}, {"quantity": 10}, "ok", "ok"], [{}, {"quantity": {"max": 10001}}, "constraint_exceeds_limit", "constraint_exceeds_limit"],
	[{}, {"item": "bolts"}, "ok", "ok"], [{}, {"item": {"max": "zzz"}}, "constraint_invalid", "constraint_invalid"], [{}, {"item": {"min": "a"}}, "constraint_invalid", "constraint_invalid"],
	[{}, {"item": {"max": 5}}, "constraint_invalid", "constraint_invalid"], [{}, {"item": ["bolts"]}, "constraint_invalid", "constraint_invalid"],
	[{"tags": ["a"]}, {"tags": ["a"]}, "constraint_invalid", "constraint_invalid"], [{"tags": ["a"]}, {"tags": {"eq": ["a"]}}, "constraint_invalid", "constraint_invalid"],
	[{"tags": []}, {"tags": []}, "constraint_invalid", "constraint_invalid"], [{"tags": []}, {"tags": {"max_length": 0}}, "ok", "ok"],
	[{"tags": ["a"]}, {"tags": {"max_length": 1}}, "ok", "ok"], [{"tags": ["a"]}, {"tags": {"min_length": 2}}, "constraint_violated", "ok"],
	[{"more": {}}, {"more": {}}, "constraint_invalid", "constraint_invalid"], [{"more": {"eq": 1}}, {"more": {"eq": 1}}, "constraint_invalid", "constraint_invalid"],
	[{"urgent": true}, {"urgent": true}, "ok", "ok"], [{"urgent": false}, {"urgent": {"eq": false}}, "ok", "ok"], [{"urgent": true}, {"urgent": false}, "constraint_violated", "ok"],
	[{"urgent": true}, {"urgent": {"max": 5}}, "constraint_invalid", "constraint_invalid"], [{"urgent": true}, {"urgent": {"max": true}}, "constraint_invalid", "constraint_invalid"],
	[{}, {"urgent": true}, "constraint_violated", "ok"], [{}, {"amount": {"max": true}}, "constraint_invalid", "constraint_invalid"], [{}, {"amount": {"max": ""}}, "constraint_invalid", "constraint_invalid"],
	[{}, {"amount": {"max": "500"}}, "constraint_invalid", "constraint_invalid"], [{}, {"amount": null}, "constraint_invalid", "constraint_invalid"], [{}, {"amount": {}}, "constraint_invalid", "constraint_invalid"],
	[{}, {"amount": {"max": 500, "min": 121}}, "constraint_violated", "ok"], [{}, {"amount": {"max": 500, "bypass": 1}}, "constraint_invalid", "constraint_invalid"],
	[{}, {"none": 1}, "unknown_constraint", "unknown_constraint"], [{}, {"item": "bolts", "none": {"max": 1}}, "unknown_constraint", "unknown_constraint"],
]

test_constraints_typed_calls if decided(typed, [[ordering(row[0], row[1]), row[2]] | some row in typed_rows])

test_constraints_typed_drafts if drafted(typed, [[drafting(row[1]), row[3]] | some row in typed_rows])

test_constraints_typed_drafts_that_name_their_call if drafted(typed, [[naming(row[0], row[1]), row[2]] | some row in typed_rows])

# The same with the call that the draft names.
test_constraints_of_a_draft_that_names_its_call if drafted(world, [[put(draft_high, "/poa/con", row[0]), row[1]] | some row in [
	[{"payment_limit": {"max": 5000}}, "ok"], [{"payment_limit": {"max": 4999}}, "constraint_violated"], [{"payment_limit": {"max": 250000}}, "ok"],
	[{"payment_limit": {"max": 250001}}, "constraint_exceeds_limit"], [{"payment_limit": 5000}, "ok"], [{"payment_limit": {"eq": 5000}}, "ok"], [{"payment_limit": 4999}, "constraint_violated"],
	[{"payment_limit": {"max": true}}, "constraint_invalid"], [{"payment_limit": {"max": "5"}}, "constraint_invalid"], [{"vendor_id": {"max": "W"}}, "constraint_invalid"],
	[{"vendor_id": ["V-1001"]}, "constraint_invalid"], [{"reason": null}, "constraint_invalid"], [{"reason": "x"}, "constraint_violated"], [{"none": 5}, "unknown_constraint"],
]])

test_constraints_limits_table if every row in [
	[{}, {}, "ok"], [{"amount": {"max": 120.5}}, {}, "ok"], [{"amount": {"max": 120}}, {}, "limit_exceeded"], [{"amount": {"min": 120.5}}, {}, "ok"], [{"amount": {"min": 121}}, {}, "limit_exceeded"],
	[{"amount": {"max": 200, "min": 121}}, {}, "limit_exceeded"], [{"tags": {"max_length": 1}}, {}, "ok"], [{"tags": {"max_length": 1}}, {"tags": ["a"]}, "ok"], [{"tags": {"max_length": 1}}, {"tags": ["a", "b"]}, "limit_exceeded"],
	[{"urgent": {"max": 5}}, {"urgent": true}, "limit_exceeded"], [{"urgent": false}, {"urgent": true}, "limit_exceeded"], [{"urgent": false}, {"urgent": false}, "ok"],
	[{"currency": {"in": ["EUR", "USD"]}}, {}, "ok"], [{"currency": "EUR"}, {}, "ok"], [{"currency": "USD"}, {}, "limit_exceeded"],
] {
	decided(limited_to(row[0]), [[ordering(row[1], {}), row[2]]])
	drafted(limited_to(row[0]), [[naming(row[1], {}), row[2]]])
}

# All that is said of constraints, and where.
test_constraints_says_what_is_wrong_and_where if every row in [
	[world, put(low, "/poa/con", null), {"constraint_invalid /poa/con"}],
	[world, put(low, "/poa/con", []), {"constraint_invalid /poa/con"}],
	[world, put(low, "/poa/con", ["V-1001"]), {"constraint_invalid /poa/con"}],
	[world, put(low, "/poa/con", "x"), {"constraint_invalid /poa/con"}],
	[world, put(low, "/poa/con", 5), {"constraint_invalid /poa/con"}],
	[world, put(low, "/poa/con", {"a/b~c": 1}), {"constraint_violated /poa/con/a~1b~0c", "unknown_constraint /poa/con/a~1b~0c"}],
	[world, put(medium, "/poa/con", {"amount": {"max": 50001}}), {"constraint_exceeds_limit /poa/con/amount"}],
	[world, put(medium, "/poa/con", {"amount": {"lt": 50001}, "none": 1}), {"constraint_invalid /poa/con/amount", "constraint_violated /poa/con/amount", "constraint_violated /poa/con/none", "unknown_constraint /poa/con/none"}],
	[world, put(medium, "/poa/con", {"amount": {"max": 100}}), {"constraint_violated /poa/con/amount"}],
	[world, put(medium, "/poa/con", {"amount": 121, "currency": "USD", "item": "bolts"}), {"constraint_violated /poa/con/amount", "constraint_violated /poa/con/currency"}],
	[world, put(put(medium, "/poa/con", {}), "/request/params/amount", 50001), {"limit_exceeded /request/params/amount"}],
	[world, put(put(medium, "/poa/con", {"amount": 50001}), "/request/params/amount", 50001), {"limit_exceeded /request/params/amount"}],
	[world, put(put(medium, "/poa/con", {}), "/request/params", 5), {"input_malformed /request/params"}],
	[world, put(put(medium, "/poa/con", {}), "/request/params", "x"), {"input_malformed /request/params"}],
	[world, put(put(medium, "/poa/con", {}), "/request/params", ["x"]), {"input_malformed /request/params"}],
	[world, put(medium, "/request/params", null), {"constraint_violated /poa/con/amount", "constraint_violated /poa/con/currency", "input_malformed /request/params"}],
	[world, put(put(medium, "/poa/con", {}), "/request/params", {}), {"missing_parameter /request/params/amount", "missing_parameter /request/params/currency", "missing_parameter /request/params/item", "missing_parameter /request/params/quantity", "missing_parameter /request/params/vendor_id"}],
	[world, drop(put(medium, "/poa/con", {}), "/request"), {"act_mismatch /request/act", "input_malformed /request", "input_malformed /request/params"}],
	[world, drop(medium, "/request"), {"act_mismatch /request/act", "constraint_violated /poa/con/amount", "constraint_violated /poa/con/currency", "input_malformed /request", "input_malformed /request/params"}],
	[world, put(put(high, "/request/params/bic", null), "/poa/con", {"bic": null}), {"constraint_invalid /poa/con/bic", "parameter_type /request/params/bic"}],
] {
	said(call_in(row[0], row[1])) == row[2]
}

test_constraints_of_a_draft_that_are_no_object if drafted(world, [[put(draft_low, "/poa/con", value), "constraint_invalid"] | some value in [null, 5, "x", true, [], ["x"]]])

test_constraints_bound_of_text_on_an_unlimited_amount if decided(limited_to({}), [[ordering({}, {"amount": {"max": bound}}), "constraint_invalid"] | some bound in ["", "x", []]])
