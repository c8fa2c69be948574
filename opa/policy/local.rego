# What holds here and now (owner: security)
#
# The layers above a single mandate, in one: time, rates, overlays. Behind `overlay_none` none of them is looked at.

package atb

# METADATA
# title: What time, rates and overlays deny
# custom:
#   fast_path: true
local_explained := set() if overlay_none

else := union({calendar_explained, rates_explained, overlay_explained})

# METADATA
# title: What the answer rests on, in the order of the layers
# description: >-
#   `layer:what`. Names that the input gives are shown only where the data know them.
# custom:
#   fast_path: true
local_matched := shown.matched if {
	overlay_none
	not unmandated
	shown := report_brief(act_entry)
} else := [text |
	some row in array.concat(
		[
			["act", {act_name | act_entry}],
			["tier", {act_tier | act_entry}],
			["template", {concat("@", [input.poa.leg.template.id, leg_template.version]) | leg_template}],
			["workspace", {input.workspace | is_string(input.workspace)}],
			["environment", {overlay_environment | overlay_environment in ["production", "staging", "development"]}],
		],
		local_matched_further,
	)
	some name in row[1]
	name != ""
	text := concat(":", [row[0], name])
]

# METADATA
# title: What overlays, time, rates and risk add to it
# custom:
#   fast_path: true
#   owner: security
#   controls: [ISO 27001 A.5.15]
local_matched_further := [] if {
	overlay_none
	not unmandated
} else := [
	["freeze", {id | some id, one in data.freezes; calendar_concerns(one); not calendar_outside(one)}],
	["maintenance", {id | some id, one in data.maintenance; calendar_concerns(one)}],
	["calendar", {row.hours.calendar | some _, row in overlay_layers; act_covers(row.hours.acts)}],
	["rate", {concat("/", [rate.per, format_int(rate.window, 10)]) | some rate in rates_asked}],
	["overlay", {name | some name, row in overlay_layers; object.remove(row, ["free_form_leg"]) != {}}],
	["team", {row.team | some _, row in overlay_layers}],
	["allowlist", {"low_risk" | unmandated_listed; unmandated}],
	["risk", {"threshold" | risk_high}],
]
