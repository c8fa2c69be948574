# Rates (owner: broker)
#
# How often an agent may act, from the counters that the broker keeps. A rule that applies and finds no counter denies.

package atb

# METADATA
# title: The rates that apply to this act
rates_asked := [rate |
	some rates in array.concat([data.rates], [row.rates | some _, row in overlay_layers])
	some rate in rates
	act_covers(rate.acts)
]

# METADATA
# title: Rates that are used up
# description: >-
#   There are no counters before a mandate is made, so a draft is not held against them. What stands between two numbers is
#   one.
# custom:
#   owner: broker
#   controls: [ISO 27001 A.8.6, OWASP API4:2023]
rates_explained := {["rate_limited", concat("/", ["/counters", rate.per, window])] |
	mandate_doc.phase != "issue"
	some rate in rates_asked
	window := format_int(rate.window, 10)
	[1 |
		done := input.counters[rate.per][window]
		done >= 0
		done < rate.max
	] == []
}
