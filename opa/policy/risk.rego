# Risk (owner: security)
#
# A score from 0 to 100 with what it is made of. The points are data (`data.risk`). Above the threshold that applies,
# one more approval is asked for than otherwise. The score reads no approvals, so it cannot depend on them.

package atb

# METADATA
# title: The risk of what is asked
# description: >-
#   `{score, contributions}`; the score is the sum of the points, at most 100.
# custom:
#   owner: security
#   controls: [NIST AI RMF MEASURE 2.6, ISO 42001 A.5.2]
risk_document := {
	"score": min([100, sum([one.points | some one in risk_contributions])]),
	"contributions": risk_contributions,
}

# METADATA
# title: What adds to the risk, in a fixed order
# custom:
#   fast_path: true
risk_contributions := array.concat(risk_base, risk_close_to_limits) if {
	overlay_none
	not act_entry.privileged
} else := array.concat(risk_base, array.concat(
	risk_close_to_limits,
	array.concat(
		[{"factor": "outside_hours", "points": data.risk.points.outside_hours} |
			name := data.risk.calendar
			not calendar_open(name)
		],
		[{"factor": concat(":", ["privileged_target", name]), "points": data.risk.points.privileged_target} | some name in sort(privileged_parameters)],
	),
))

# METADATA
# title: Amounts that are close to a limit
risk_close_to_limits := [{"factor": concat(":", ["near_limit", name]), "points": data.risk.points.near_limit} | some name in sort(risk_near)]

# METADATA
# title: What act and environment bring, whatever the call
risk_base := [part |
	base := data.risk.base
	entry := act_listed
	some [kind, name] in [
		["tier", act_tier],
		["data_class", object.get(entry, "data_class", null)],
		["reversibility", object.get(entry, "reversibility", null)],
		["environment", overlay_environment],
	]
	points := base[kind]
	part := points[name]
]

# METADATA
# title: Parameters whose amount is close to its limit
# description: The value of the call, or the upper bound that a draft sets itself.
risk_near := {name |
	some name, limit in act_listed.limits
	risk_presses(name, limit.max)
} | {name |
	some limits in overlay_limits
	some name, limit in limits
	risk_presses(name, limit.max)
}

# METADATA
# title: The amount of a parameter is close to that limit
risk_presses(name, most) if {
	amount := risk_amount(name)
	is_number(amount)
	risk_close(amount, most)
}

# METADATA
# title: Above the share of the limit that `data.risk` names
risk_close(amount, most) if amount > most

else if amount * 100 > most * data.risk.near_limit_percent

# METADATA
# title: The amount of a call, or the upper bound of a draft
risk_amount(name) := value if {
	value := input.request.params[name]
} else := most if {
	most := input.poa.con[name].max
} else := exact if {
	exact := input.poa.con[name].eq
} else := con if {
	con := input.poa.con[name]
}

# METADATA
# title: The score is above the threshold
# description: It cannot be where nothing is asked beyond the base.
risk_high if {
	not overlay_none
	risk_document.score > overlay_threshold
}

# METADATA
# title: The one approval more is not there, looked at on denial only
risk_explained := {["risk_threshold", "/approvals"] |
	risk_high
	count(approval_counts) < approval_needed
}
