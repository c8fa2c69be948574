package atb_test

office := {
	"timezone": "Europe/Berlin",
	"hours": {
		"mon": [["09:00", "12:00"], ["13:00", "17:00"]],
		"tue": [["09:00", "17:00"]],
		"wed": [["09:00", "17:00"]],
		"thu": [["09:00", "17:00"]],
		"fri": [["09:00", "17:00"]],
	},
	"holidays": ["2026-12-25"],
}

harbour := {"timezone": "America/New_York", "hours": {"sun": [["00:00", "24:00"]]}}

in_office := changed({
	"calendars": {"office": office, "harbour": harbour},
	"workspaces": {"default": {"hours": {"acts": ["erp.*"], "calendar": "office"}}},
})

at(text) := put(low, "/time", seconds(text))

calendar_says(there, text) := reasons_of(ask_local("calendar", at(text), there))

test_calendar_of_another_act_does_not_matter if {
	there := object.union(in_office, {"workspaces": {"default": {"hours": {"acts": ["crm.*"], "calendar": "office"}}}})
	calendar_says(there, "2026-09-20T10:00:00Z") == set()
}

test_calendar_unknown_is_closed if {
	there := changed({"workspaces": {"default": {"hours": {"acts": ["*"], "calendar": "moon"}}}})
	calendar_says(there, "2026-09-21T10:00:00Z") == {"outside_hours"}
}

test_calendar_unknown_zone_is_closed if {
	there := object.union(in_office, {"calendars": {"office": {"timezone": "Mars/Base"}}})
	calendar_says(there, "2026-09-21T08:00:00Z") == {"outside_hours"}
}

test_calendar_of_the_environment_counts if {
	there := object.union(in_office, {"environments": {"production": {"hours": {"acts": ["*"], "calendar": "harbour"}}}})
	calendar_says(there, "2026-09-21T08:00:00Z") == {"outside_hours"}
}

test_calendar_denies_a_call if {
	decision := call_in(in_office, at("2026-09-20T10:00:00Z"))
	"outside_hours" in rules_of(decision)
}

test_calendar_denies_a_draft if {
	there := changed({"workspaces": {"default": {"hours": {"acts": ["*"], "calendar": "moon"}}}})
	decision := ask("draft", draft_low, there)
	[decision.allow, decision.reason] == [false, "outside_hours"]
}

span(members) := object.union({"from": "2026-12-20T00:00:00+01:00", "until": "2027-01-07T00:00:00Z", "acts": ["erp.*"], "reason": "year end"}, members)

test_calendar_freeze_denies_a_call_and_says_so if {
	decision := call_in(changed({"freezes": {"now": span({"from": "2026-09-01T00:00:00Z"})}}), low)
	decision.reason == "change_freeze"
	"freeze:now" in decision.matched
	decision.violations[0].pointer == "/time"
}

test_calendar_freeze_of_others_is_not_shown if {
	decision := call_in(changed({"freezes": {"now": span({"from": "2026-09-01T00:00:00Z", "acts": ["crm.*"]}), "later": span({})}}), low)
	decision.allow == true
	count(decision.matched) == 5
}

test_calendar_any_of_several_windows_will_do if {
	there := changed({"maintenance": {"past": span({"until": "2026-12-21T00:00:00Z"}), "now": span({})}})
	calendar_says(there, "2026-12-25T00:00:00Z") == set()
}

test_calendar_maintenance_is_shown if {
	decision := call_in(changed({"maintenance": {"w": span({})}}), low)
	decision.reason == "maintenance_window"
	decision.missing == ["maintenance_window"]
	"maintenance:w" in decision.matched
}

test_calendar_now_at_both_ends if {
	[now | some time in [1, 8999999999]; now := data.atb.calendar_now with input as {"time": time}] == [1000000000, 8999999999000000000]
}
