package atb_test

overlay_says(members, doc) := ask_local("overlay", doc, overlaid(members))

test_overlay_denied_table if every row in [
	[["erp.order.create"], true], [["erp.*"], true], [["erp.order.*"], true], [["*"], true],
	[["erp.order.read"], false], [["crm.*"], false], [[], false],
] {
	count(overlay_says({"denied": row[0]}, medium)) == count([1 | row[1]])
}

test_overlay_denies_a_call_and_a_draft if {
	there := overlaid({"denied": ["erp.order.*"]})
	decision := call_in(there, medium)
	decision.reason == "act_denied_here"
	decision.violations[0].pointer == "/poa/act"
	"overlay:workspace:default" in decision.matched
	ask("draft", draft_medium, there).reason == "act_denied_here"
}

test_overlay_of_another_workspace_does_not_apply if call_in(changed({"workspaces": {"other": {"denied": ["*"]}}}), medium).allow == true

test_overlay_does_not_widen_the_catalogue if {
	doc := put(put(medium, "/poa/con", {}), "/request/params/amount", 50001)
	call_in(overlaid({"limits": {"erp.order.create": {"amount": {"max": 90000}}}}), doc).reason == "limit_exceeded"
}

test_overlay_sensitive_path_denies if call_in(overlaid({"sensitive_paths": ["/x"]}), low).reason == "sensitive_path"

test_overlay_sensitive_path_does_not_hold_a_draft_without_a_call if ask("draft", draft_low, overlaid({"sensitive_paths": ["/"]})).allow == true

test_overlay_restricted_of_other_acts if overlay_says({"restricted": [{"acts": ["crm.*"], "parameter": "*", "pattern": "V"}]}, low) == set()

test_overlay_restricted_denies if call_in(overlaid({"restricted": [{"acts": ["*"], "parameter": "vendor_id", "pattern": "1001$"}]}), low).reason == "restricted_pattern"

test_overlay_roles_come_together if {
	there := changed({
		"workspaces": {"default": {"approvals": {"critical": {"roles": {"finance": 1, "executive": 2}}}}},
		"environments": {"production": {"approvals": {"critical": {"approvals": 3, "roles": {"finance": 2}}}}},
	})
	asked := ask("draft", draft_critical, there).requirement
	[asked.required, asked.roles, asked.ticket, asked.delegable, asked.challenge_seconds] == [3, {"finance": 2, "executive": 2}, true, false, 3600]
}

test_overlay_approvals_hold_a_call if {
	there := overlaid({"approvals": {"medium": {"approvals": 2}}})
	call_in(there, medium).reason == "approval_missing"
	call_in(there, signed(drop(medium, "/poa/leg/approval"), ["alice", "bob"])).allow == true
}

test_overlay_without_anything_asked_changes_nothing if every members in [{"free_form_leg": true}, {"free_form_leg": false}, {"team": "payments"}, {}] {
	call_in(overlaid(members), medium).allow == true
}

test_overlay_layers_of_a_hostile_workspace if every reason in reasons_each([put(low, "/workspace", value) | some value in [null, 5, [], {}]], overlaid({"denied": ["*"]})) {
	reason == "input_malformed"
}

# Only an empty world is one in which nothing further need be looked at.
test_overlay_none_table if every row in [
	[{}, 1], [{"workspaces": {"default": {"free_form_leg": true}}}, 1], [{"workspaces": {"other": {"denied": ["*"]}}}, 1],
	[{"workspaces": {"default": {"team": "payments"}}}, 0], [{"environments": {"staging": {}}}, 0], [{"freezes": {"f": span({})}}, 0],
	[{"maintenance": {"m": span({})}}, 0], [{"rates": [{"acts": ["crm.*"], "per": "act", "window": 60, "max": 5}]}, 0],
	[{"risk": {"threshold": 99}}, 0], [{"risk": {"calendar": "office"}}, 0],
] {
	ask("nothing beyond the base", low, changed(row[0])) == row[1]
}
