package atb_test

counted(per, window, number) := put(low, "/counters", {per: {window: number}})

limited(rate) := changed({"rates": [object.union({"acts": ["erp.*"], "per": "act", "window": 60, "max": 5}, rate)]})

rates_say(rate, doc) := ask_local("rates", doc, limited(rate))

test_rates_table if every row in [
	[{}, counted("act", "60", 0), true], [{}, counted("act", "60", 4), true],
	[{}, counted("act", "60", 5), false], [{}, counted("act", "60", 6), false],
	[{}, counted("act", "60", -1), false], [{}, counted("act", "60", null), false],
	[{}, counted("act", "60", "4"), false], [{}, counted("act", "60", true), false],
	[{}, counted("act", "60", []), false], [{}, counted("act", "3600", 0), false],
	[{}, counted("agent", "60", 0), false], [{}, low, false],
	[{}, put(low, "/counters", null), false], [{}, put(low, "/counters", {"act": 4}), false],
	[{"acts": ["crm.*"]}, low, true], [{"acts": ["erp.vendor.read"]}, low, false],
	[{"per": "agent"}, counted("agent", "60", 4), true], [{"per": "agent"}, counted("agent", "60", 5), false],
	[{"per": "workspace"}, counted("workspace", "60", 4), true], [{"window": 3600}, counted("act", "3600", 4), true],
	[{"window": 86400}, counted("act", "86400", 5), false], [{"max": 0}, counted("act", "60", 0), false],
] {
	count(rates_say(row[0], row[1])) == count([1 | row[2] == false])
}

test_rates_pointer if rates_say({}, counted("act", "60", 5)) == {["rate_limited", "/counters/act/60"]}

test_rates_deny_a_call if {
	decision := call_in(limited({}), counted("act", "60", 5))
	decision.reason == "rate_limited"
	"rate:act/60" in decision.matched
}

test_rates_within_allow_a_call if call_in(limited({}), counted("act", "60", 4)).allow == true

test_rates_of_the_workspace_count_beside_those_of_the_base if {
	there := object.union(limited({"max": 100}), {"workspaces": {"default": {"rates": [{"acts": ["*"], "per": "act", "window": 60, "max": 2}]}}})
	call_in(there, counted("act", "60", 2)).reason == "rate_limited"
	call_in(there, counted("act", "60", 1)).allow == true
}

test_rates_do_not_hold_a_draft if ask("draft", draft_low, limited({})).allow == true
