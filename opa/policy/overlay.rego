# Overlays (owner: security)
#
# What an environment and a workspace ask on top of the base: acts that are denied, narrower limits, more approvals,
# sensitive paths, restricted values. Every overlay is looked at by itself and each can only deny or ask for more, so the
# strictest of all applies and none loosens. The loader has proven the types of the data.

package atb

# METADATA
# title: Nothing is asked beyond the base
# description: >-
#   No overlay, freeze, maintenance window, rate or threshold applies to anybody here; then the rules of this file, of
#   `calendar.rego`, `rates.rego` and `risk.rego` need not be looked at. `poa.decision` says the same inline.
# custom:
#   fast_path: true
overlay_none if {
	object.get(input, "environment", "production") in ["production", "staging", "development"]
	[data.environments, data.freezes, data.maintenance, data.rates] == [{}, {}, {}, []]
	{1 |
		row := data.workspaces[input.workspace]
		not row in [{"free_form_leg": false}, {"free_form_leg": true}]
	} == set()
	data.risk.threshold >= 100
	not data.risk.calendar
}

# METADATA
# title: The environment, production where nothing is said
overlay_environment := name if {
	name := input.environment
} else := "production"

# METADATA
# title: The overlays that apply, by name
# description: A workspace that asks for nothing is none.
# custom:
#   fast_path: true
overlay_layers := {} if overlay_none

else := object.union(
	{concat(":", ["environment", overlay_environment]): row | row := data.environments[overlay_environment]},
	{concat(":", ["workspace", input.workspace]): row | row := data.workspaces[input.workspace]},
)

# METADATA
# title: What the overlays deny
# description: The pattern of a restricted value that does not compile restricts everything.
# custom:
#   owner: security
#   controls: [ISO 27001 A.5.15, ISO 27001 A.8.3, NIST AI RMF GOVERN 1.2]
overlay_explained := union({
	{["input_malformed", "/environment"] | not overlay_environment in ["production", "staging", "development"]},
	{["act_denied_here", "/poa/act"] |
		some _, row in overlay_layers
		patterns := row.denied
		act_covers(patterns)
	},
	{["limit_exceeded", parameters_pointer("/request/params", name)] |
		params := input.request.params
		is_object(params)
		some limits in overlay_limits
		some name, limit in limits
		not constraints_spared(limit, params, name)
	},
	{["constraint_exceeds_limit", parameters_pointer("/poa/con", name)] |
		cons := input.poa.con
		is_object(cons)
		some limits in overlay_limits
		some name, con in cons
		limit := limits[name]
		not constraints_within(constraints_operators(con), constraints_operators(limit))
	},
	{["sensitive_path", "/request/path"] |
		call := input.request
		some _, row in overlay_layers
		prefixes := row.sensitive_paths
		some prefix in prefixes
		[1 | startswith(call.path, prefix) == false] == []
	},
	{["restricted_pattern", parameters_pointer("/request/params", name)] |
		params := input.request.params
		is_object(params)
		some _, row in overlay_layers
		restrictions := row.restricted
		some one in restrictions
		act_covers(one.acts)
		some name, value in params
		one.parameter in ["*", name]
		overlay_restricted(one.pattern, value)
	},
})

# METADATA
# title: The limits of the overlays for this act
overlay_limits := [limits |
	some _, row in overlay_layers
	limits := row.limits[act_name]
]

# METADATA
# title: A text in the value matches, or it cannot be told
overlay_restricted(pattern, value) if {
	some leaf in overlay_leaves(value)
	[1 | regex.match(pattern, overlay_text(leaf)) == false] == []
}

# METADATA
# title: A scalar as text
# description: A number by its whole part. Undefined for what is deeper than `overlay_leaves` looks, so that it counts as restricted.
overlay_text(leaf) := leaf if is_string(leaf)

else := "-1" if {
	# OPA takes the floor of these for 0, so the engine has none.
	leaf > -1
	leaf < 0
}

else := format_int(floor(leaf), 10) if {
	# What stands between two numbers is one.
	leaf > -9007199254740992
	leaf < 9007199254740992
}

else := "" if leaf in [null, false, true]

# METADATA
# title: The scalars in a value, names of members included, down to three levels
overlay_leaves(value) := {leaf |
	some first in overlay_members(value)
	some second in overlay_members(first)
	some leaf in overlay_members(second)
}

# METADATA
# title: What a value holds, one level down
overlay_members(value) := {value} if value < []

else := {one | some one in value} | {name |
	is_object(value)
	some name, _ in value
}

# METADATA
# title: What the overlays ask of the approvers of this tier
overlay_approvals := [asked |
	some _, row in overlay_layers
	asked := row.approvals[act_tier]
]

# METADATA
# title: The lowest threshold of base, overlays and team
overlay_threshold := min((({data.risk.threshold} | {limit |
	some _, row in overlay_layers
	limit := row.risk_threshold
}) | {limit |
	some _, row in overlay_layers
	limit := data.teams[row.team].risk_threshold
}))
