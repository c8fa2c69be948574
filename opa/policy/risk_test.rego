package atb_test

risk_in(there, doc) := ask("risk", doc, there)

points_of(shown) := {one.factor: one.points | some one in shown.contributions}

test_risk_of_each_tier if every row in [[low, 15], [medium, 30], [high, 55], [critical, 75]] {
	decision := call(row[0])
	decision.risk.score == row[1]
	sum([one.points | some one in decision.risk.contributions]) == row[1]
}

test_risk_contributions_in_order if call(medium).risk.contributions == [
	{"factor": "tier:medium", "points": 10}, {"factor": "data_class:internal", "points": 5},
	{"factor": "reversibility:reversible", "points": 5}, {"factor": "environment:production", "points": 10},
]

test_risk_of_a_draft_is_that_of_its_call if every row in [[draft_low, low], [draft_medium, medium], [draft_high, high], [draft_critical, critical]] {
	answer := draft(row[0])
	[answer.risk, answer.matched] == [call(row[1]).risk, call(row[1]).matched]
}

test_risk_environment_table if [[decision.allow, decision.risk.score, decision.matched[4]] |
	some decision in ask_each("call", [put(low, "/environment", name) | some name in ["production", "staging", "development"]], world)
] == [[true, 15, "environment:production"], [true, 10, "environment:staging"], [true, 5, "environment:development"]]

test_risk_near_the_limit_table if [[decision.allow, decision.risk.score] |
	some decision in ask_each("call", [put(put(medium, "/poa/con", {}), "/request/params/amount", amount) | some amount in [40000, 40000.01, 40001, 50000]], world)
] == [[true, 30], [true, 40], [true, 40], [true, 40]]

test_risk_over_the_limit if {
	decision := call(put(put(medium, "/poa/con", {}), "/request/params/amount", 1e300))
	decision.reason == "limit_exceeded"
	decision.risk.score == 40
}

test_risk_each_amount_by_itself if points_of(call(put(put(put(medium, "/poa/con", {}), "/request/params/amount", 50000), "/request/params/quantity", 8001)).risk) == {
	"tier:medium": 10, "data_class:internal": 5, "reversibility:reversible": 5, "environment:production": 10,
	"near_limit:amount": 10, "near_limit:quantity": 10,
}

test_risk_amount_of_a_draft_table if every row in [
	[{"amount": {"max": 40000}}, 30], [{"amount": {"max": 40001}}, 40], [{"amount": 40001}, 40], [{"amount": {"eq": 40001}}, 40],
	[{"amount": {"eq": 40000}}, 30], [{}, 30], [{"amount": {"min": 3}}, 30],
] {
	answer := draft(put(draft_medium, "/poa/con", row[0]))
	[answer.allow, answer.risk.score] == [true, row[1]]
}

test_risk_near_the_limit_of_an_overlay if risk_in(overlaid({"limits": {"erp.order.create": {"amount": {"max": 150}}}}), medium).score == 40

test_risk_amount_that_is_no_number if risk_in(world, put(medium, "/request/params/amount", "99999")).score == 30

test_risk_calendar_counts_in_a_decision if call_in(changed({"risk": {"calendar": "moon"}}), low).risk.score == 25

test_risk_privileged_target if points_of(call_in(risky, full).risk)["privileged_target:vendor_id"] == 15

test_risk_is_at_most_a_hundred if {
	there := changed({"risk": {"base": {"tier": {"low": {"factor": "tier:low", "points": 99}}}}})
	shown := risk_in(there, low)
	shown.score == 100
	sum([one.points | some one in shown.contributions]) == 114
}

dual := signed(drop(medium, "/poa/leg/approval"), ["alice", "bob"])

test_risk_threshold_at_the_call if every row in [
	[low, 14, "risk_threshold"], [low, 15, "ok"], [medium, 29, "risk_threshold"], [medium, 30, "ok"], [dual, 29, "ok"],
	[put(dual, "/requires_dual_control", true), 29, "ok"],
	[high, 54, "risk_threshold"], [signed(high, ["alice", "bob", "carol"]), 54, "ok"],
	[put(drop(medium, "/poa/leg/approval"), "/approvals", []), 29, "approval_missing"],
] {
	decision := call_in(overlaid({"risk_threshold": row[1]}), row[0])
	decision.reason == row[2]
	{"shown" | "risk:threshold" in decision.matched} == {"shown" | row[1] in [14, 29, 54]}
}

test_risk_is_no_reason_where_no_threshold_applies if rules_of(call(put(drop(medium, "/poa/leg/approval"), "/approvals", []))) == ["approval_missing"]

test_risk_team_is_shown if "team:payments" in call_in(overlaid({"team": "payments"}), medium).matched

test_risk_shipped_points_stay_within_a_hundred if {
	highest := [max([row.points | some _, row in rows]) | some _, rows in data.risk.base]
	sum(highest) <= 100
	every kind, rows in data.risk.base {
		every name, row in rows { row.factor == concat(":", [kind, name]) }
	}
}

test_risk_shipped_covers_every_act if every _, entry in data.catalogue {
	data.risk.base.tier[entry.tier].points >= 0
	data.risk.base.data_class[entry.data_class].points >= 0
	data.risk.base.reversibility[entry.reversibility].points >= 0
}

test_risk_threshold_beside_dual_control if {
	answer := ask("draft", put(draft_low, "/requires_dual_control", true), overlaid({"risk_threshold": 14}))
	answer.requirement.required == 2
}

test_risk_outside_hours_is_named if points_of(call_in(changed({"risk": {"calendar": "moon"}}), low).risk).outside_hours == 10

test_risk_far_from_the_limit_of_an_overlay if every row in [[{"max": 150}, 40], [{"max": 150.625}, 30], [{"max": 100000}, 30], [{"min": 100}, 30], ["EUR", 30]] {
	risk_in(overlaid({"limits": {"erp.order.create": {"amount": row[0]}}}), medium).score == row[1]
}

test_risk_nothing_of_a_limit_of_nothing_is_not_near if {
	risk_in(limited_to({"amount": {"max": 0}}), put(medium, "/request/params/amount", 0)).score == 30
	risk_in(limited_to({"amount": {"max": 0}}), put(medium, "/request/params/amount", 1)).score == 40
}

test_risk_says_where_the_approval_is_missing if said(call_in(overlaid({"risk_threshold": 54}), high)) == {"risk_threshold /approvals"}
