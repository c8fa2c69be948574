# Tables with many rows about `mandate.rego`. The pipeline and the mutation tool run them; an activation does not.
package atb_test

test_mandate_act_cap_reached if allowed(put(critical, "/poa/exp", 1790000115))

test_mandate_iat_hostile if denied_each([put(low, "/poa/iat", value) | some value in [null, "1790000000", [], {}, true]], "mandate_time")

test_mandate_nbf_hostile if denied_each([put(low, "/poa/nbf", value) | some value in [null, "1790000000", [], {}, true]], "mandate_time")

test_mandate_exp_hostile if denied_each([put(low, "/poa/exp", value) | some value in [null, "1790000000", [], {}, true]], "mandate_time")

test_mandate_extreme_numbers if every value in [1e300, -1e300, 1.7e308, -1.7e308] {
	every path in ["/time", "/poa/iat", "/poa/exp"] {
		doc := put(low, path, value)
		denied(doc, "mandate_time")
	}
}

test_mandate_binding_not_an_object if denied(put(high, "/poa/req", "sha"), "request_mismatch")

# A world whose templates are in force at any time, so that nothing but the times of the mandate can be wrong.
timeless := changed({"leg_templates": {"contract": {"valid_from": "0001-01-01", "valid_until": "9999-12-31"}}})

test_mandate_times_table if decided(timeless, [
	[timed(100, [100, 100, 101]), "ok"], [timed(100, [100, 101, 102]), "mandate_time"], [timed(101, [100, 100, 101]), "mandate_time"],
	[timed(1, [0, 0, 300]), "ok"], [timed(1, [0, 0, 301]), "mandate_time"], [timed(1, [-1, 0, 2]), "mandate_time"], [timed(1, [0, -1, 2]), "mandate_time"],
	[timed(100, [101, 100, 101]), "mandate_time"], [timed(100, [102, 100, 101]), "mandate_time"],
	[timed(8999999998, [8999999990, 8999999990, 8999999999]), "ok"], [timed(8999999998, [8999999990, 8999999990, 9000000000]), "mandate_time"],
	[timed(0, [0, 0, 10]), "leg_template_expired"],
])

test_mandate_shape_table if {
	stranger := unknown_agent(low)
	decided(world, array.concat(
		[[put(put(low, "/agent/id", value), "/poa/sub", value), "input_malformed"] | some value in [5, null, true, [], {}]],
		array.concat(
			[[put(stranger, "/workspace", value), "input_malformed"] | some value in [5, null, true, [], {}]],
			array.concat(
				[[put(low, "/requires_dual_control", value), "input_malformed"] | some value in [5, null, "true", [], {}]],
				[[put(low, "/approvals", value), "input_malformed"] | some value in [5, null, "x", true, {}]],
			),
		),
	))
	decided(world, [[stranger, "ok"], [put(stranger, "/workspace", "anywhere"), "ok"], [put(low, "/workspace", "anywhere"), "workspace_mismatch"]])
	decided(put(world, "/tiers", {"medium": world.tiers.medium}), [[low, "unknown_act"]])
}

test_mandate_says_what_is_wrong_and_where if every row in [
	[world, put(low, "/time", "x"), {"input_malformed /time", "leg_template_expired /poa/leg/template/id", "mandate_time /poa/exp"}],
	[world, put(low, "/time", true), {"input_malformed /time", "leg_template_expired /poa/leg/template/id", "mandate_time /poa/nbf"}],
	[world, put(low, "/time", ""), {"input_malformed /time", "leg_template_expired /poa/leg/template/id", "mandate_time /poa/exp"}],
	[world, put(low, "/time", 1), {"leg_template_expired /poa/leg/template/id", "mandate_time /poa/nbf"}],
	[world, put(low, "/time", 1790000055), {"mandate_time /poa/exp"}],
	[world, put(high, "/poa/req", null), {"request_binding_required /poa/req"}],
	[world, put(high, "/poa/req", "sha"), {"request_mismatch /poa/req"}],
	[world, put(high, "/poa/req", 5), {"request_mismatch /poa/req"}],
	[world, put(high, "/poa/req", []), {"request_mismatch /poa/req"}],
	[world, put(high, "/poa/req", {}), {"request_mismatch /poa/req/connector", "request_mismatch /poa/req/digest", "request_mismatch /poa/req/method", "request_mismatch /poa/req/path"}],
	[world, put(low, "/poa/req", false), {"request_mismatch /poa/req"}],
	[world, put(low, "/poa/req", high.poa.req), set()],
	[world, put(put(high, "/poa/req/path", []), "/request/path", []), {"request_mismatch /poa/req/path"}],
	[world, put(put(high, "/poa/req/path", ""), "/request/path", ""), set()],
	[world, put(put(high, "/poa/req", world_of_blanks), "/request", object.union(high.request, world_of_blanks)), set()],
	[world, put(high, "/request/digest", "other"), {"request_mismatch /poa/req/digest"}],
	[world, put(low, "/poa/tier", "high"), {"tier_mismatch /poa/tier"}],
	[world, put(low, "/workspace", "other"), {"workspace_mismatch /workspace"}],
	[world, put(low, "/agent/id", "x"), {"holder_mismatch /agent/id"}],
	[world, put(low, "/agent/id", 5), {"holder_mismatch /agent/id", "input_malformed /agent/id"}],
	[world, put(low, "/agent", []), {"holder_mismatch /agent/id", "input_malformed /agent/id"}],
	[world, put(low, "/phase", "issue"), {"input_malformed /phase"}],
	[world, unknown_act(low), {"act_mismatch /request/act", "unknown_act /poa/act"}],
	[put(world, "/tiers", {}), low, {"unknown_act /poa/act"}],
] {
	said(call_in(row[0], row[1])) == row[2]
}

world_of_blanks := {"connector": "", "method": "", "path": "", "digest": ""}

test_mandate_lifetime_of_a_draft_table if every row in [
	[draft_low, set()],
	[put(draft_low, "/poa/ttl", 0), {"input_malformed /poa/ttl"}],
	[put(draft_low, "/poa/ttl", -1), {"input_malformed /poa/ttl"}],
	[put(draft_low, "/poa/ttl", null), {"input_malformed /poa/ttl"}],
	[put(draft_low, "/poa/ttl", "60"), {"input_malformed /poa/ttl"}],
	[put(draft_low, "/poa/ttl", []), {"input_malformed /poa/ttl"}],
	[put(draft_low, "/poa/ttl", 301), {"ttl_too_long /poa/ttl"}],
	[put(draft_critical, "/poa/ttl", 120), set()],
	[put(draft_critical, "/poa/ttl", 121), {"ttl_too_long /poa/ttl"}],
	[put(unknown_act(draft_low), "/poa/ttl", 1), {"unknown_act /poa/act"}],
] {
	said(draft(row[0])) == row[1]
}

test_mandate_time_of_another_type_table if decided(world, [[put(low, "/time", value), "input_malformed"] | some value in ["x", "a", "", true, false, [], {}]])

# The short way and the long one to the members of the wrong type: the first kinds of value on either side of the right one.
test_mandate_shape_at_the_edges_of_each_type if {
	texts := ["/poa/sub", "/poa/act", "/agent/id", "/workspace"]
	malformed := [put(low, path, value) | some path in texts; some value in [9, [], {}]]
	times := [put(low, "/time", value) | some value in [true, "", "9"]]
	lists := [put(low, "/approvals", value) | some value in ["x", {}]]
	flags := [put(low, "/requires_dual_control", value) | some value in [null, 0]]
	denied_each(array.concat(array.concat(malformed, times), array.concat(lists, flags)), "input_malformed")
	empty := [put(low, path, "") | some path in texts]
	reasons_each(empty, world) == ["holder_mismatch", "unknown_act", "holder_mismatch", "workspace_mismatch"]
	other := [put(put(low, path, value[0]), "/poa/tier", "high") | some [path, value] in [["/time", [-1]], ["/approvals", [[]]], ["/requires_dual_control", [true]]]]
	reasons_each(other, world) == ["tier_mismatch", "tier_mismatch", "tier_mismatch"]
}
