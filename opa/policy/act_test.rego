package atb_test

test_act_unknown_wildcard if denied(put(low, "/poa/act", "erp.*"), "unknown_act")

test_act_unknown_empty if denied(put(low, "/poa/act", ""), "unknown_act")

test_act_unknown_family if denied(put(low, "/poa/act", "erp"), "unknown_act")

test_act_unknown_lookalike if denied(put(low, "/poa/act", "erp.vend\u043er.read"), "unknown_act")

test_act_typed_number if denied(put(low, "/poa/act", 5), "input_malformed")

test_act_typed_null if denied(put(low, "/poa/act", null), "input_malformed")

test_act_typed_array if denied(put(low, "/poa/act", ["erp.vendor.read"]), "input_malformed")

test_act_typed_object if denied(put(low, "/poa/act", {}), "input_malformed")

test_act_covers_star if data.atb.act_covers(["*"]) with input as low

test_act_covers_exact if data.atb.act_covers(["erp.vendor.read"]) with input as low

test_act_covers_family if data.atb.act_covers(["erp.*"]) with input as low

test_act_covers_subfamily if data.atb.act_covers(["erp.vendor.*"]) with input as low

test_act_covers_not_prefix_without_dot if {
	covered := [1 | data.atb.act_covers(["erp.v*"]) with input as low]
	covered == []
}

test_act_covers_not_bare_prefix if {
	covered := [1 | data.atb.act_covers(["erp"]) with input as low]
	covered == []
}

test_act_covers_not_exact_prefix if {
	covered := [1 | data.atb.act_covers(["erp.vendor"]) with input as low]
	covered == []
}

test_act_covers_not_other if {
	covered := [1 | data.atb.act_covers(["sap.*"]) with input as low]
	covered == []
}

test_act_covers_not_none if {
	covered := [1 | data.atb.act_covers([]) with input as low]
	covered == []
}

test_act_covers_not_self_as_family if {
	covered := [1 | data.atb.act_covers(["erp.vendor.read.*"]) with input as low]
	covered == []
}

test_act_covers_not_not_text if {
	covered := [1 | data.atb.act_covers([5, null]) with input as low]
	covered == []
}

# The shipped catalogue, whatever is in it.
test_act_every_act_has_a_tier if every entry in data.catalogue { data.tiers[entry.tier] }

test_act_dangerous_acts_bind_the_call if {
	dangerous := {act | some act, entry in data.catalogue; entry.tier in ["high", "critical"]}
	bound := {act | some act, entry in data.catalogue; entry.bind_request == true}
	dangerous == bound
}

test_act_cap_is_the_shorter if ask("cap", critical, world) == 120

test_act_cap_of_the_tier if ask("cap", low, world) == 300

test_act_tier_without_row if call_in(put(world, "/tiers", {}), low).reason == "unknown_act"

test_act_unknown_lives_for_no_time if data.atb.act_cap == 0 with input as put(low, "/poa/act", "erp.nothing")

# A family of any depth that an act has, and none that is deeper.
test_act_covers_families_of_each_depth if every act in ["a.b", "a.b.c", "a.b.c.d", "a.b.c.d.e"] {
	parts := split(act, ".")
	families := [concat("", [concat(".", array.slice(parts, 0, depth)), ".*"]) | some depth in numbers.range(1, 6)]
	covered := [i | some i, family in families; data.atb.act_covers([family]) with input as {"poa": {"act": act}}]
	covered == numbers.range(0, count(parts) - 2)
}

# What a decision says of approvals for an act that nobody knows is nothing, whoever approved.
test_act_unknown_with_approvals_is_only_unknown if decided(world, [[put(put(unknown_act(low), "/request/act", "erp.vendor.burn"), "/approvals", [own("alice"), own("mallory")]), "unknown_act"]])

# The call's own name of the act counts only where no mandate is asked for.
test_act_of_the_call_is_not_that_of_a_mandate_without_one if every row in [[drop(low, "/poa/act"), set()], [bare, {"act_denied_here /poa/act"}]] {
	said(call_in(overlaid({"denied": ["erp.*"]}), row[0])) & {"act_denied_here /poa/act"} == row[1]
}
