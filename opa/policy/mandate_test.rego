package atb_test

test_mandate_holder if denied(put(low, "/agent/id", "spiffe://atb.dev/agent/support"), "holder_mismatch")

test_mandate_holder_null if denied(put(put(low, "/agent/id", null), "/poa/sub", null), "input_malformed")

test_mandate_workspace if denied(put(low, "/workspace", "team-b"), "workspace_mismatch")

test_mandate_unlisted_agent_low if allowed(put(put(low, "/agent/id", "spiffe://atb.dev/agent/new"), "/poa/sub", "spiffe://atb.dev/agent/new"))

test_mandate_act if denied(put(low, "/request/act", "erp.vendor.list"), "act_mismatch")

test_mandate_tier_lower if denied(put(high, "/poa/tier", "low"), "tier_mismatch")

test_mandate_tier_higher if denied(put(low, "/poa/tier", "critical"), "tier_mismatch")

test_mandate_tier_null if denied(put(low, "/poa/tier", null), "tier_mismatch")

test_mandate_first_second if allowed(put(low, "/time", 1789999995))

test_mandate_too_early if denied(put(low, "/time", 1789999994), "mandate_time")

test_mandate_last_second if allowed(put(low, "/time", 1790000054))

test_mandate_expired if denied(put(low, "/time", 1790000055), "mandate_time")

test_mandate_cap_reached if allowed(put(low, "/poa/exp", 1790000295))

test_mandate_cap_plus_one if denied(put(low, "/poa/exp", 1790000296), "mandate_time")

test_mandate_act_cap_plus_one if denied(put(critical, "/poa/exp", 1790000116), "mandate_time")

test_mandate_exp_before_iat if denied(put(low, "/poa/iat", 1790000060), "mandate_time")

test_mandate_iat_absent if denied(drop(low, "/poa/iat"), "mandate_time")

test_mandate_nbf_absent if denied(drop(low, "/poa/nbf"), "mandate_time")

test_mandate_exp_absent if denied(drop(low, "/poa/exp"), "mandate_time")

test_mandate_iat_negative if denied(put(low, "/poa/iat", -1), "mandate_time")

test_mandate_exp_huge if denied(put(low, "/poa/exp", 1e+300), "mandate_time")

test_mandate_binding_required if denied(drop(high, "/poa/req"), "request_binding_required")

test_mandate_binding_null if denied(put(high, "/poa/req", null), "request_binding_required")

test_mandate_binding_connector if denied(put(high, "/request/connector", "other"), "request_mismatch")

test_mandate_binding_connector_null_on_both_sides if denied(put(put(high, "/request/connector", null), "/poa/req/connector", null), "request_mismatch")

test_mandate_binding_method if denied(put(high, "/request/method", "other"), "request_mismatch")

test_mandate_binding_method_null_on_both_sides if denied(put(put(high, "/request/method", null), "/poa/req/method", null), "request_mismatch")

test_mandate_binding_path if denied(put(high, "/request/path", "other"), "request_mismatch")

test_mandate_binding_path_null_on_both_sides if denied(put(put(high, "/request/path", null), "/poa/req/path", null), "request_mismatch")

test_mandate_binding_digest if denied(put(high, "/request/digest", "other"), "request_mismatch")

test_mandate_binding_digest_null_on_both_sides if denied(put(put(high, "/request/digest", null), "/poa/req/digest", null), "request_mismatch")

test_mandate_binding_of_choice_counts if denied(put(low, "/poa/req", {"connector": "erp", "method": "GET", "path": "/", "digest": "d"}), "request_mismatch")

# The long form of the binding and of the act, each member by itself.
test_mandate_bound_table if every path in ["/poa/req/connector", "/poa/req/method", "/poa/req/path", "/poa/req/digest"] {
	every value in ["other", null, 5] {
		both := put(put(high, path, value), replace(path, "/poa/req", "/request"), value)
		[1 | data.atb.mandate_bound with input as put(high, path, value)] == []
		count([1 | data.atb.mandate_bound with input as both]) == count([1 | value == "other"])
	}
	[1 | data.atb.mandate_bound with input as drop(high, path)] == []
}

test_mandate_same_act_table if every row in [
	[high, 1], [put(high, "/request/act", "x"), 0], [put(put(high, "/request/act", null), "/poa/act", null), 0],
	[put(high, "/request/params", []), 0], [drop(high, "/request/act"), 0], [drop(high, "/poa/act"), 0],
] {
	count([1 | data.atb.mandate_same_act with input as row[0]]) == row[1]
}

test_mandate_misshapen_names_each_member if {
	doc := {"poa": {"act": 1, "sub": 1}, "agent": {"id": 1}, "workspace": 1, "time": "1", "approvals": 1, "requires_dual_control": 1}
	pointers := {finding[1] | some finding in data.atb.mandate_misshapen with input as doc}
	pointers == {"/poa/sub", "/poa/act", "/agent/id", "/workspace", "/time", "/approvals", "/requires_dual_control"}
	{finding[1] | some finding in data.atb.mandate_misshapen with input as {}} == pointers | {"/poa"}
	{finding | some finding in data.atb.mandate_misshapen with input as low} == set()
}

timed(now, times) := object.union(low, {"time": now, "poa": {"iat": times[0], "nbf": times[1], "exp": times[2]}})

test_mandate_draft_for_an_unknown_act if drafted(world, [[unknown_act(draft_low), "unknown_act"], [put(unknown_act(draft_low), "/poa/ttl", 0), "input_malformed"]])
