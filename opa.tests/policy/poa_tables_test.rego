# Tables with many rows about `poa.rego`. The pipeline and the mutation tool run them; an activation does not.
package atb_test

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

# An act that nobody knows is said, and nothing that would only follow from an act.
test_poa_unknown_act_says_nothing_that_rests_on_an_act if every doc in [
	unknown_act(low), put(unknown_act(low), "/time", 1790000055), put(unknown_act(low), "/poa/nbf", 1790000001), drop(unknown_act(critical), "/poa/leg/ticket"),
	put(unknown_act(medium), "/approvals", []), drop(unknown_act(low), "/request/params/vendor_id"),
] {
	said(call(doc)) - {"constraint_violated /poa/con/amount"} == {"act_mismatch /request/act", "unknown_act /poa/act"}
}

# Nothing is wrong with a call that has no parameters, whatever else keeps it out.
test_poa_no_parameters_are_parameters if denied(put(put(low, "/request/params", {}), "/poa/tier", "high"), "tier_mismatch")
