package atb_test

test_constraints_limit_reached if allowed(put(drop(medium, "/poa/con/amount"), "/request/params/amount", 50000))

test_constraints_limit_plus_one if denied(put(drop(medium, "/poa/con/amount"), "/request/params/amount", 50001), "limit_exceeded")

test_constraints_limit_fraction_over if denied(put(drop(medium, "/poa/con/amount"), "/request/params/amount", 50000.01), "limit_exceeded")

test_constraints_limit_huge if denied(put(drop(medium, "/poa/con/amount"), "/request/params/amount", 1e300), "limit_exceeded")

test_constraints_con_max_kept if allowed(put(put(medium, "/poa/con", {"amount": {"max": 200}}), "/request/params/amount", 200))

test_constraints_con_max_violated if denied(put(put(medium, "/poa/con", {"amount": {"max": 200}}), "/request/params/amount", 201), "constraint_violated")

test_constraints_con_min_kept if allowed(put(put(medium, "/poa/con", {"amount": {"min": 100}}), "/request/params/amount", 100))

test_constraints_con_min_violated if denied(put(put(medium, "/poa/con", {"amount": {"min": 100}}), "/request/params/amount", 99), "constraint_violated")

test_constraints_con_eq_kept if allowed(put(put(medium, "/poa/con", {"amount": {"eq": 150}}), "/request/params/amount", 150))

test_constraints_con_eq_violated if denied(put(put(medium, "/poa/con", {"amount": {"eq": 150}}), "/request/params/amount", 151), "constraint_violated")

test_constraints_con_scalar_violated if denied(put(put(medium, "/poa/con", {"amount": 150}), "/request/params/amount", 149), "constraint_violated")

test_constraints_con_in_kept if allowed(put(put(medium, "/poa/con", {"amount": {"in": [1, 2]}}), "/request/params/amount", 2))

test_constraints_con_in_violated if denied(put(put(medium, "/poa/con", {"amount": {"in": [1, 2]}}), "/request/params/amount", 3), "constraint_violated")

test_constraints_con_max_length_kept if allowed(put(medium, "/poa/con", {"item": {"max_length": 5}}))

test_constraints_con_max_length_violated if denied(put(put(medium, "/poa/con", {"item": {"max_length": 5}}), "/request/params/item", "boltss"), "constraint_violated")

test_constraints_con_on_absent_parameter if denied(put(high, "/poa/con", {"reason": "x"}), "constraint_violated")

test_constraints_limit_on_absent_parameter if allowed(put(put(put(put(medium, "/poa/act", "erp.order.update"), "/request/act", "erp.order.update"), "/request/params", {"order_id": "O-1001"}), "/poa/con", {}))

test_constraints_con_is_null if denied(put(low, "/poa/con", null), "constraint_invalid")

test_constraints_con_is_array if denied(put(low, "/poa/con", []), "constraint_invalid")

test_constraints_con_is_string if denied(put(low, "/poa/con", "x"), "constraint_invalid")

test_constraints_con_is_number if denied(put(low, "/poa/con", 5), "constraint_invalid")

test_constraints_con_absent if denied(drop(low, "/poa/con"), "constraint_invalid")

test_constraints_con_invalid_null if denied(put(medium, "/poa/con", {"amount": null}), "constraint_invalid")

test_constraints_con_invalid_array if denied(put(medium, "/poa/con", {"amount": [1]}), "constraint_invalid")

test_constraints_con_invalid_no_operator if denied(put(medium, "/poa/con", {"amount": {}}), "constraint_invalid")

test_constraints_con_invalid_unknown_operator if denied(put(medium, "/poa/con", {"amount": {"lt": 5}}), "constraint_invalid")

test_constraints_con_invalid_max_as_string if denied(put(medium, "/poa/con", {"amount": {"max": "5"}}), "constraint_invalid")

test_constraints_con_invalid_max_null if denied(put(medium, "/poa/con", {"amount": {"max": null}}), "constraint_invalid")

test_constraints_con_invalid_min_as_array if denied(put(medium, "/poa/con", {"amount": {"min": [1]}}), "constraint_invalid")

test_constraints_con_invalid_in_as_scalar if denied(put(medium, "/poa/con", {"amount": {"in": 5}}), "constraint_invalid")

test_constraints_con_invalid_in_empty if denied(put(medium, "/poa/con", {"amount": {"in": []}}), "constraint_invalid")

test_constraints_con_invalid_in_of_wrong_type if denied(put(medium, "/poa/con", {"amount": {"in": [1, "2"]}}), "constraint_invalid")

test_constraints_con_invalid_eq_of_wrong_type if denied(put(medium, "/poa/con", {"amount": "120.5"}), "constraint_invalid")

test_constraints_con_invalid_max_on_string if denied(put(medium, "/poa/con", {"item": {"max": 5}}), "constraint_invalid")

test_constraints_con_invalid_max_length_on_number if denied(put(medium, "/poa/con", {"amount": {"max_length": 5}}), "constraint_invalid")

test_constraints_con_invalid_max_length_negative if denied(put(medium, "/poa/con", {"item": {"max_length": -1}}), "constraint_invalid")

test_constraints_con_invalid_nested if denied(put(medium, "/poa/con", {"amount": {"eq": {"max": 5}}}), "constraint_invalid")

test_constraints_con_invalid_bypass_beside_good if denied(put(medium, "/poa/con", {"amount": {"max": 500, "bypass": true}}), "constraint_invalid")

test_constraints_con_unknown_parameter if denied(put(medium, "/poa/con", {"approved": true}), "unknown_constraint")

test_constraints_con_max_at_limit if allowed(put(medium, "/poa/con", {"amount": {"max": 50000}}))

test_constraints_con_max_over if denied(put(medium, "/poa/con", {"amount": {"max": 50001}}), "constraint_exceeds_limit")

test_constraints_con_eq_over if denied(put(medium, "/poa/con", {"amount": 50001}), "constraint_exceeds_limit")

test_constraints_con_in_over if denied(put(medium, "/poa/con", {"amount": {"in": [120.5, 50001]}}), "constraint_exceeds_limit")

test_constraints_con_in_within if allowed(put(medium, "/poa/con", {"amount": {"in": [120.5, 50000]}}))

test_constraints_narrowing_table if every row in [
	[{"min": 5}, {"min": 5}, true], [{"min": 4}, {"min": 5}, false],
	[{"max_length": 5}, {"max_length": 5}, true], [{"max_length": 6}, {"max_length": 5}, false],
	[{"eq": "a"}, {"in": ["a", "b"]}, true], [{"eq": "c"}, {"in": ["a", "b"]}, false],
	[{"in": ["a"]}, {"in": ["a", "b"]}, true], [{"in": ["a", "c"]}, {"in": ["a", "b"]}, false],
	[{"eq": "abc"}, {"max_length": 3}, true], [{"eq": "abcd"}, {"max_length": 3}, false],
	[{"eq": 3}, {"min": 4}, false], [{"max": 9}, {}, true], [{"min": 5, "max": 9}, {"max": 8}, false], [{"min": 4, "max": 8}, {"min": 5, "max": 8}, false], [{"min": 5, "max": 8}, {"min": 5, "max": 8}, true],
] {
	result := count([1 | data.atb.constraints_within(row[0], row[1])]) == 1
	result == row[2]
}

test_constraints_array_length if data.atb.constraints_passes("max_length", 2, ["a", "b"])

test_constraints_boolean_constraint if data.atb.constraints_well_formed({"eq": true}, "boolean")

test_constraints_integer_constraint if data.atb.constraints_well_formed({"eq": 3, "min": 1}, "integer")

test_constraints_min_length_kept if allowed(put(medium, "/poa/con", {"item": {"min_length": 5}}))

test_constraints_min_length_violated if denied(put(medium, "/poa/con", {"item": {"min_length": 6}}), "constraint_violated")

test_constraints_con_invalid_min_length if denied_each([put(medium, "/poa/con", {"item": {"min_length": bound}}) | some bound in ["5", null, -1, [5]]], "constraint_invalid")

test_constraints_con_invalid_min_length_on_number if denied(put(medium, "/poa/con", {"amount": {"min_length": 1}}), "constraint_invalid")

test_constraints_length_of_nothing_may_be_asked if allowed(put(medium, "/poa/con", {"item": {"min_length": 0}}))

test_constraints_con_pattern_is_violated_whatever_it_is if every pattern in [".*", true] {
	met := [1 | data.atb.constraints_meets({"pattern": pattern, "eq": "x"}, "x")]
	met == []
}

spelled(limit) := changed({"catalogue": {"erp.order.create": {"limits": {"item": limit}}}})

test_constraints_pattern_of_a_limit_holds_only_texts if every value in [5, null, ["bolts"], {"a": "bolts"}, true] {
	passed := [1 | data.atb.constraints_passes("pattern", "", value)]
	passed == []
}

test_constraints_value_must_fit_the_pattern_of_the_limit if {
	call_in(spelled({"pattern": "^bolts$"}), put(medium, "/poa/con", {"item": "bolts"})).allow == true
	call_in(spelled({"pattern": "^bolts$"}), put(medium, "/poa/con", {"item": {"in": ["bolts", "nuts"]}})).reason == "constraint_exceeds_limit"
}

test_constraints_min_length_narrows_table if every row in [[5, 5, true], [6, 5, true], [4, 5, false]] {
	result := count([1 | data.atb.constraints_within({"min_length": row[0]}, {"min_length": row[1]})]) == 1
	result == row[2]
}

test_constraints_scalar_table if every row in [
	["string", ["", "x"]], ["number", [0, 1.5]], ["integer", [0, 1.5]], ["boolean", [true, false]], ["array", []], ["object", []],
] {
	[value | some value in ["", "x", 0, 1.5, true, false, null, [], {}]; data.atb.constraints_scalar(row[0], value)] == row[1]
}

test_constraints_known_table if every row in [
	["min", "string"], ["max", "string"], ["min_length", "number"], ["max_length", "integer"], ["pattern", "string"], ["", "string"],
] {
	known := [bound | some bound in [1, "x", ["x"], true]; data.atb.constraints_known(row[0], bound, row[1])]
	known == []
}

test_constraints_passes_table if every row in [
	["min", 2, [2, 3]], ["max", 2, [1, 2]], ["min_length", 2, ["ab", "abc", ["a", "b"]]], ["max_length", 2, ["a", "ab", ["a", "b"]]],
	["min", "2", []], ["max", "2", []], ["min_length", "2", []], ["max_length", "2", []], ["min", null, []], ["max", null, []], ["min_length", null, []], ["max_length", null, []],
	["eq", 2, [2]], ["in", [2, "ab"], [2, "ab"]], ["pattern", "^a", ["a", "ab", "abc"]], ["other", 2, []],
] {
	values := [1, 2, 3, "a", "ab", "abc", ["a", "b"], {"a": 1, "b": 2}, null, true]
	[value | some value in values; data.atb.constraints_passes(row[0], row[1], value)] == row[2]
}

test_constraints_of_no_mandate_are_not_listed if {
	found := {[violation.rule, violation.pointer] | some violation in anywhere("call", put(low, "/poa", 5)).violations}
	every finding in found { finding[0] != "constraint_invalid" }
}

test_constraints_sizes_are_of_texts_and_lists if {
	data.atb.constraints_known("max_length", 2, "array")
	data.atb.constraints_known("min_length", 0, "string")
	not data.atb.constraints_known("max_length", -1, "array")
	not data.atb.constraints_known("max_length", 2, "number")
}

# Orders with a list, a yes or no and a note that nobody limits, to try each type under each form of constraint.
typed := changed({"catalogue": {"erp.order.create": {"parameters": {"properties": {"tags": {"type": "array"}, "urgent": {"type": "boolean"}, "more": {"type": "object"}}}}}})

# Limits under which the values of a call stand or fall.
limited_to(limits) := put(typed, "/catalogue/erp.order.create/limits", limits)

test_constraints_of_a_draft_without_any_are_missing if "constraint_invalid /poa/con" in said(draft(put(draft_low, "/poa", {})))
