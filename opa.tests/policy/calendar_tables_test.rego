# Tables with many rows about `calendar.rego`. The pipeline and the mutation tool run them; an activation does not.
package atb_test

on_sundays := object.union(in_office, {"workspaces": {"default": {"hours": {"acts": ["erp.vendor.read"], "calendar": "harbour"}}}})

# Summer and winter time, both ends of each span, the weekend, and the day of the calendar's own zone.
hours_rows := [
	["2026-09-21T06:59:59Z", {"outside_hours"}],
	["2026-09-21T07:00:00Z", set()],
	["2026-09-21T09:59:59Z", set()],
	["2026-09-21T10:00:00Z", {"outside_hours"}],
	["2026-09-21T10:59:59Z", {"outside_hours"}],
	["2026-09-21T11:00:00Z", set()],
	["2026-09-21T14:59:59Z", set()],
	["2026-09-21T15:00:00Z", {"outside_hours"}],
	["2026-12-21T07:59:59Z", {"outside_hours"}],
	["2026-12-21T08:00:00Z", set()],
	["2026-09-19T10:00:00Z", {"outside_hours"}],
	["2026-09-20T10:00:00Z", {"outside_hours"}],
	["2026-12-24T10:00:00Z", set()],
	["2026-12-24T22:59:59Z", {"outside_hours"}],
	["2026-12-24T23:00:00Z", {"holiday"}],
	["2026-12-25T10:00:00Z", {"holiday"}],
	["2026-12-25T22:59:59Z", {"holiday"}],
	["2026-12-25T23:00:00Z", {"outside_hours"}],
]

test_calendar_hours_table if {
	docs := [at(row[0]) | some row in hours_rows]
	[reasons_of(found) | some found in ask_local_each("calendar", docs, in_office)] == [row[1] | some row in hours_rows]
}

# The day on which the clocks go back has 25 hours.
test_calendar_whole_day_table if every row in [
	["2026-11-01T03:59:59Z", {"outside_hours"}],
	["2026-11-01T04:00:00Z", set()],
	["2026-11-02T04:59:59Z", set()],
	["2026-11-02T05:00:00Z", {"outside_hours"}],
] {
	calendar_says(on_sundays, row[0]) == row[1]
}

freeze_says(members, text) := calendar_says(changed({"freezes": {"year-end": span(members)}}), text)

test_calendar_freeze_table if every row in [
	[{}, "2026-12-19T22:59:59Z", set()],
	[{}, "2026-12-19T23:00:00Z", {"change_freeze"}],
	[{}, "2027-01-06T23:59:59Z", {"change_freeze"}],
	[{}, "2027-01-07T00:00:00Z", set()],
	[{"acts": ["erp.vendor.read"]}, "2026-12-25T00:00:00Z", {"change_freeze"}],
	[{"acts": ["crm.*"]}, "2026-12-25T00:00:00Z", set()],
	[{"workspaces": ["default"]}, "2026-12-25T00:00:00Z", {"change_freeze"}],
	[{"workspaces": ["*"]}, "2026-12-25T00:00:00Z", {"change_freeze"}],
	[{"workspaces": ["other"]}, "2026-12-25T00:00:00Z", set()],
	[{"workspaces": []}, "2026-12-25T00:00:00Z", set()],
	[{"until": "soon"}, "2026-12-25T00:00:00Z", {"change_freeze"}],
	[{"from": "then"}, "2026-01-01T00:00:00Z", {"change_freeze"}],
] {
	freeze_says(row[0], row[1]) == row[2]
}

window_says(members, text) := calendar_says(changed({"maintenance": {"w": span(members)}}), text)

test_calendar_maintenance_table if every row in [
	[{}, "2026-12-19T22:59:59Z", {"maintenance_window"}],
	[{}, "2026-12-19T23:00:00Z", set()],
	[{}, "2027-01-06T23:59:59Z", set()],
	[{}, "2027-01-07T00:00:00Z", {"maintenance_window"}],
	[{"acts": ["crm.*"]}, "2026-01-01T00:00:00Z", set()],
	[{"workspaces": ["other"]}, "2026-01-01T00:00:00Z", set()],
	[{"from": "then"}, "2026-12-25T00:00:00Z", {"maintenance_window"}],
] {
	window_says(row[0], row[1]) == row[2]
}

test_calendar_no_time_is_closed_and_frozen if {
	there := object.union(in_office, {"freezes": {"f": span({})}, "maintenance": {"w": span({})}})
	docs := [put(low, "/time", value) | some value in [null, "now", [], {}, 0, -1, 9000000000, 1e300]]
	answers_there := [reasons_of(found) | some found in ask_local_each("calendar", docs, there)]
	answers_there == [{"change_freeze", "maintenance_window", "outside_hours"} | some _ in docs]
}

test_calendar_points_at_the_time if every row in [
	[in_office, at("2026-09-21T06:59:59Z"), "outside_hours /time"], [in_office, at("2026-12-25T10:00:00Z"), "holiday /time"],
	[changed({"freezes": {"f": span({"from": "2026-09-01T00:00:00Z"})}}), low, "change_freeze /time"], [changed({"maintenance": {"w": span({})}}), low, "maintenance_window /time"],
] {
	row[2] in said(call_in(row[0], row[1]))
}
