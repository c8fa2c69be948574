# Tables with many rows about `risk.rego`. The pipeline and the mutation tool run them; an activation does not.
package atb_test

# What is at hand and what is worked out are the same.
test_risk_and_matched_do_not_depend_on_the_way if every doc in [low, medium, high, critical] {
	[decision, matched, risk] := ask("call, matched, risk", doc, world)
	[decision.matched, decision.risk] == [matched, risk]
}

test_risk_outside_hours_table if every row in [["2026-09-21T07:00:00Z", 15], ["2026-09-20T07:00:00Z", 25], ["2026-12-25T10:00:00Z", 25]] {
	risk_in(object.union(changed({"risk": {"calendar": "office"}}), {"calendars": {"office": office}}), at(row[0])).score == row[1]
}

# One more approval than otherwise above the threshold, and none at it.
test_risk_threshold_at_issue if every row in [
	[draft_low, 15, 0], [draft_low, 14, 1], [draft_medium, 30, 1], [draft_medium, 29, 2], [draft_high, 55, 2], [draft_high, 54, 3], [draft_critical, 74, 3],
] {
	answer := ask("draft", row[0], overlaid({"risk_threshold": row[1]}))
	[answer.allow, answer.requirement.required] == [true, row[2]]
}

test_risk_strictest_threshold_applies if every row in [
	[{"risk": {"threshold": 29}}, "risk_threshold"], [{"environments": {"production": {"risk_threshold": 29}}}, "risk_threshold"],
	[{"environments": {"staging": {"risk_threshold": 29}}}, "ok"],
	[{"workspaces": {"default": {"team": "payments"}}, "teams": {"payments": {"risk_threshold": 29}}}, "risk_threshold"],
	[{"workspaces": {"default": {"team": "payments", "risk_threshold": 90}}, "teams": {"payments": {"risk_threshold": 29}}}, "risk_threshold"],
	[{"workspaces": {"default": {"team": "payments", "risk_threshold": 29}}, "teams": {"payments": {"risk_threshold": 90}}}, "risk_threshold"],
	[{"workspaces": {"default": {"team": "payments"}}, "teams": {"sales": {"risk_threshold": 29}}}, "ok"],
	[{"risk": {"threshold": 99}}, "ok"],
] {
	call_in(changed(row[0]), medium).reason == row[1]
}
