# Tables with many rows about `overlay.rego`. The pipeline and the mutation tool run them; an activation does not.
package atb_test

test_overlay_environment_table if reasons_each(
	[put(medium, "/environment", name) | some name in ["production", "staging", "development", "moon", null, 5]],
	changed({"environments": {"production": {"denied": ["*"]}}}),
) == ["act_denied_here", "ok", "ok", "input_malformed", "input_malformed", "input_malformed"]

test_overlay_environment_unknown_to_nobody if denied_each([put(medium, "/environment", value) | some value in ["moon", null, [], {}, 5, false]], "input_malformed")

test_overlay_absent_environment_is_production if {
	decision := call_in(changed({"environments": {"production": {"denied": ["*"]}}}), drop(medium, "/environment"))
	decision.reason == "act_denied_here"
	allowed(drop(medium, "/environment"))
	call(drop(medium, "/environment")) == call(medium)
}

test_overlay_limit_table if every row in [
	[{"amount": {"max": 120.5}}, {"constraint_exceeds_limit"}], [{"amount": {"max": 120}}, {"limit_exceeded", "constraint_exceeds_limit"}],
	[{"amount": {"max": 500}}, set()], [{"amount": {"max": 499}}, {"constraint_exceeds_limit"}],
	[{"item": {"pattern": "^bolt"}}, set()], [{"item": {"pattern": "^nut"}}, {"limit_exceeded"}],
	[{"item": {"min_length": 5}}, set()], [{"item": {"min_length": 6}}, {"limit_exceeded"}],
	[{"currency": {"in": ["EUR"]}}, set()], [{"currency": {"in": ["USD"]}}, {"limit_exceeded", "constraint_exceeds_limit"}],
	[{"quantity": {"min": 10, "max": 10}}, set()], [{"quantity": {"min": 11}}, {"limit_exceeded"}],
] {
	wide := put(medium, "/poa/con/amount", {"max": 500})
	reasons_of(overlay_says({"limits": {"erp.order.create": row[0]}}, wide)) == row[1]
	reasons_of(overlay_says({"limits": {"erp.order.read": row[0]}}, wide)) == set()
}

test_overlay_limit_holds_beside_the_catalogue if {
	there := overlaid({"limits": {"erp.order.create": {"amount": {"max": 100}}}})
	call_in(there, put(medium, "/poa/con", {})).reason == "limit_exceeded"
	call_in(there, put(put(medium, "/poa/con", {}), "/request/params/amount", 100)).allow == true
	ask("draft", draft_medium, there).reason == "constraint_exceeds_limit"
}

test_overlay_sensitive_path_table if every row in [
	[["/x/"], "/x/1", true], [["/x/1"], "/x/1", true], [["/x/1/"], "/x/1", false], [["/y"], "/x/1", false],
	[["/y", "/x"], "/x/1", true], [["/y"], 5, true], [["/y"], null, true], [[], "/x/1", false],
] {
	found := overlay_says({"sensitive_paths": row[0]}, put(low, "/request/path", row[1]))
	found == {finding | finding := ["sensitive_path", "/request/path"]; row[2]}
}

restricts(parameter, pattern, value) := overlay_says({"restricted": [{"acts": ["erp.*"], "parameter": parameter, "pattern": pattern}]}, put(low, "/request/params", {"vendor_id": value}))

test_overlay_restricted_table if every row in [
	["vendor_id", "^V-1", "V-1001", true], ["*", "^V-1", "V-1001", true], ["other", "^V-1", "V-1001", false],
	["*", "^V-2", "V-1001", false], ["*", "secret", ["a", "top secret"], true], ["*", "secret", ["a"], false],
	["*", "secret", {"secret": 1}, true], ["*", "secret", {"a": "secret"}, true], ["*", "secret", {"a": ["x", "secret"]}, true],
	["*", "secret", {"a": ["x"]}, false], ["*", "secret", [["secret"]], true], ["*", "secret", [[["secret"]]], true],
	["*", "secret", [[["x"]]], false], ["*", "secret", [[[["x"]]]], true], ["*", "^4111", 4111222233334444, true],
	["*", "^4112", 4111222233334444, false], ["*", "^4112", 1e300, true], ["*", "^120$", 120.5, true], ["*", "secret", 120.5, false], ["*", "^-3$", -2.5, true], ["*", "secret", -2.5, false], ["*", "x", null, false], ["*", "x", true, false],
	["*", "(", "V-1001", true], ["*", "x", false, false], ["*", "^$", null, true], ["*", "^$", false, true], ["*", "^.", true, false], ["*", "x", [], false], ["*", "x", {}, false],
	["*", "^0$", ["a"], false], ["*", "^0$", 0, true], ["*", "^0$", 0.5, true], ["*", "^-1$", -0.5, true], ["*", "^-1$", -1, true], ["*", "^-2$", -1.5, true],
	["*", "^9007199254740991$", 9007199254740991, true], ["*", "x", 9007199254740991, false], ["*", "x", 9007199254740992, true],
	["*", "^-9007199254740991$", -9007199254740991, true], ["*", "x", -9007199254740991, false], ["*", "x", -9007199254740992, true], ["*", "x", -1e300, true],
] {
	restricts(row[0], row[1], row[2]) == {finding | finding := ["restricted_pattern", "/request/params/vendor_id"]; row[3]}
}

test_overlay_approvals_table if every row in [
	[{"medium": {"approvals": 2}}, draft_medium, 2], [{"medium": {"approvals": 1}}, draft_medium, 1],
	[{"medium": {"approvals": 0}}, draft_medium, 1], [{"high": {"approvals": 3}}, draft_medium, 1],
	[{"high": {"approvals": 3}}, draft_high, 3], [{"low": {"approvals": 1}}, draft_low, 1],
	[{"medium": {"roles": {"finance": 2}}}, draft_medium, 2],
] {
	answer := ask("draft", row[1], overlaid({"approvals": row[0]}))
	[answer.allow, answer.requirement.required] == [true, row[2]]
}

test_overlay_none_only_in_a_known_environment if ask_each(
	"nothing beyond the base",
	[put(low, "/environment", name) | some name in ["production", "staging", "development", "moon", null]],
	world,
) == [1, 1, 1, 0, 0]

# The gates of a call look at the same things themselves: each of them alone closes the one for overlays.
test_overlay_gates_see_what_the_rule_sees if every row in [
	[{"environments": {"production": {"denied": ["*"]}}}, "act_denied_here"], [{"freezes": {"f": span({"from": "2026-01-01T00:00:00Z", "acts": ["*"]})}}, "change_freeze"],
	[{"maintenance": {"m": span({"acts": ["*"]})}}, "maintenance_window"], [{"rates": [{"acts": ["*"], "per": "act", "window": 60, "max": 0}]}, "rate_limited"],
	[{"workspaces": {"default": {"denied": ["*"]}}}, "act_denied_here"], [{"risk": {"threshold": 54}}, "risk_threshold"],
] {
	call_in(changed(row[0]), high).reason == row[1]
	ask("draft", draft_high, changed(row[0])).reason in [row[1], "ok"]
}

# What is no object has neither limits nor restrictions of an overlay to break: only what it is not is said.
test_overlay_says_nothing_of_what_is_no_object if {
	asked := {"limits": {"erp.order.create": {"amount": {"max": 100}}}, "restricted": [{"acts": ["*"], "parameter": "*", "pattern": "("}]}
	every value in [null, 5, "x", true, [], ["x"]] { overlay_says(asked, put(drop(medium, "/poa/con"), "/request/params", value)) == set() }
	every value in [null, 5, "x", true, [], ["x"]] { overlay_says(asked, put(drop(medium, "/request"), "/poa/con", value)) == set() }
	overlay_says(asked, put(drop(medium, "/poa/con"), "/request/params", {})) == set()
}

test_overlay_layers_are_shown_by_name if {
	there := changed({"environments": {"production": {"risk_threshold": 99}, "staging": {}}, "workspaces": {"default": {"risk_threshold": 99, "free_form_leg": true}, "other": {"denied": ["*"]}}})
	shown := {name | some name in call_in(there, medium).matched; startswith(name, "overlay:")}
	shown == {"overlay:environment:production", "overlay:workspace:default"}
	every row in [["staging", {}], ["production", {"environment:production"}], ["development", {}]] {
		call_in(there, put(medium, "/environment", row[0])).matched[4] == concat(":", ["environment", row[0]])
	}
}
