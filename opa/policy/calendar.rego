# Calendars (owner: security)
#
# Business hours, weekends, holidays, freezes and maintenance windows, at `input.time` and in the time zone of the
# calendar. What cannot be told (no such calendar, a date that is none) is closed, frozen and no window.

package atb

# METADATA
# title: What the time forbids
# custom:
#   owner: security
#   controls: [ISO 27001 A.8.32, ISO 27001 A.5.15]
calendar_explained := union({
	{["change_freeze", "/time"] |
		some _, freeze in data.freezes
		calendar_concerns(freeze)
		not calendar_outside(freeze)
	},
	{["maintenance_window", "/time"] |
		windows := [window |
			some _, window in data.maintenance
			calendar_concerns(window)
		]
		windows != []
		{1 |
			some window in windows
			calendar_inside(window)
		} == set()
	},
	{[reason, "/time"] |
		some _, row in overlay_layers
		hours := row.hours
		act_covers(hours.acts)
		reason := calendar_closed(hours.calendar)
	},
})

# METADATA
# title: A freeze or a window is about this act here
calendar_concerns(span) if {
	act_covers(span.acts)
	calendar_reaches(span)
}

# METADATA
# title: A freeze or a window is for this workspace
calendar_reaches(span) if not span.workspaces

else if "*" in span.workspaces

else if input.workspace in span.workspaces

# METADATA
# title: The time is before the start or not before the end
calendar_outside(span) if calendar_now < time.parse_rfc3339_ns(span.from)

else if calendar_now >= time.parse_rfc3339_ns(span.until)

# METADATA
# title: From the start on, and before the end
calendar_inside(span) if {
	calendar_now >= time.parse_rfc3339_ns(span.from)
	calendar_now < time.parse_rfc3339_ns(span.until)
}

# METADATA
# title: The time in nanoseconds, undefined for what is no time of this era
calendar_now := input.time * 1000000000 if {
	input.time > 0
	input.time < 9000000000
}

# METADATA
# title: Why a calendar is closed, undefined where it is open
calendar_closed(name) := "holiday" if {
	book := data.calendars[name]
	calendar_day(book) in object.get(book, "holidays", [])
} else := "outside_hours" if not calendar_open(name)

# METADATA
# title: The time lies in the hours of the calendar's day
# description: Hours are texts such as `09:00`; the end is not part of them, and `24:00` is the end of the day.
calendar_open(name) if {
	book := data.calendars[name]
	day := calendar_day(book)
	off := object.get(book, "holidays", [])
	not day in off
	clock := substring(time.format([calendar_now, book.timezone]), 11, 5)
	spans := book.hours[lower(substring(time.weekday([calendar_now, book.timezone]), 0, 3))]
	some [from, until] in spans
	from <= clock
	clock < until
}

# METADATA
# title: The day in the calendar's time zone
calendar_day(book) := substring(time.format([calendar_now, book.timezone]), 0, 10)
