# METADATA
# title: Decision on a call
# description: >-
#   The one question that the enforcement point asks: may this agent make this call with this mandate, now. The
#   answer is a document for any input at all; whatever is unknown, absent or of the wrong type is a denial.
#
#   Order of priority of the reasons, with their texts: `data.reasons`. Reasons of a call by file:
#
#     mandate       input_malformed, unknown_act, holder_mismatch, workspace_mismatch, act_mismatch, tier_mismatch,
#                   mandate_time, request_binding_required, request_mismatch
#     unmandated    unmandated_not_allowed
#     platform      platform_mismatch
#     parameters    unknown_parameter, missing_parameter, parameter_type
#     constraints   constraint_invalid, unknown_constraint, constraint_exceeds_limit, constraint_violated,
#                   limit_exceeded
#     leg           leg_incomplete, leg_template_unknown, leg_template_version, leg_template_scope,
#                   leg_template_expired, leg_template_withdrawn, leg_basis, leg_jurisdiction,
#                   leg_data_subject_in_clear
#     approval      agent_operator_unknown, approver_is_requester, approver_unknown, approver_operates_requester,
#                   approver_is_accountable_party, approver_tier, approver_act, approver_workspace,
#                   approver_not_in_force, delegator_is_requester, delegator_unknown, delegator_operates_requester,
#                   delegator_is_accountable_party, delegation_to_self, delegation_not_allowed, delegation_scope,
#                   delegator_not_entitled, delegator_not_in_force, same_person, approval_too_many, approval_missing,
#                   role_missing, ticket_missing, leg_approval_shape
#     privileged    privileged_target
#     attestation   attestation_missing
#     calendar      change_freeze, maintenance_window, holiday, outside_hours
#     rates         rate_limited
#     overlay       act_denied_here, sensitive_path, restricted_pattern, and limit_exceeded, constraint_exceeds_limit
#     risk          risk_threshold
#     report        policy_undefined (no rule could say why; never expected)
# authors:
#   - Broker team
# custom:
#   owner: broker
package atb

# METADATA
# title: The decision
# description: >-
#   `{allow, reason, tier, missing, obligations, matched, violations, risk}`. One body, because a rule costs as much as
#   fifteen comparisons. Ten gates; a gate is `{1}` when the usual case of its group holds. It may be narrower than the rules
#   (a rare kind of limit, the last day of a template), never wider. Behind a gate that is empty the findings of its
#   group are looked for, and only they deny.
#
#   Values sort null, boolean, number, string, array, object: two comparisons say the type for less than a builtin.
# entrypoint: true
# custom:
#   fast_path: true
poa["decision"] := answer if {
	p := input.poa
	call := input.request
	params := call.params
	leg := p.leg
	catalogue := data.catalogue
	entry := catalogue[p.act]
	tiers := data.tiers
	grade := tiers[entry.tier]
	agents := data.agents
	agent := agents[p.sub]
	names := split(p.act, ".")
	family := concat("", [names[0], ".*"])
	points := data.risk
	spaces := data.workspaces
	plain := {1 |
		# Nothing but the base is asked: no overlay, privileged value, attestation, freeze, window, rate or threshold.
		[data.environments, data.freezes, data.maintenance, data.rates, points.threshold] == [{}, {}, {}, [], 100]
		points.base.environment[input.environment]
		not points.calendar
		not entry.privileged
		not entry.attestations
		{1 |
			row := spaces[input.workspace]
			not row in [{"free_form_leg": false}, {"free_form_leg": true}]
		} == set()
	}
	gates := [
		# Holder, platform, workspace, tier, act.
		{1 |
			not agent.platform
			input.phase == "call"
			p.sub == input.agent.id
			p.tier == entry.tier
			p.act == call.act
			input.workspace == agent.workspace
			false <= input.requires_dual_control
			input.requires_dual_control <= true
			{} <= params
		},
		# Time. Every number stands between two numbers, so none is of another type.
		{1 |
			0 <= p.nbf
			p.nbf <= input.time
			input.time < p.exp
			0 <= p.iat
			p.iat < p.exp
			p.exp < 9000000000
			life := p.exp - p.iat
			life <= grade.max_ttl_seconds
			{1 | life > entry.max_ttl_seconds} == set()
		},
		# Parameters. A whole number is the one value whose type has another name in the schema.
		{1 |
			{} <= params
			props := entry.parameters.properties
			every name in entry.parameters.required { params[name] != null }
			typed := [name | some name, value in params; type_name(value) == props[name].type]
			every name, value in object.remove(params, typed) {
				props[name].type == "integer"
				value >= -9007199254740991
				value <= 9007199254740991
				value == round(value)
			}
		},
		# Constraints of the mandate: a value, or an upper bound not above the limit.
		{1 |
			{} <= p.con
			every name, con in p.con {
				value := params[name]
				kept := {1 |
					con in [value, {"eq": value}]
					null < value
					value < []
				} | {1 |
					con == {"max": con.max}
					true < value
					value <= con.max
					con.max < ""
					{1 | con.max > entry.limits[name].max} == set()
				}
				kept != set()
			}
		},
		# The limits of the catalogue: upper bounds, and amounts that are not close to them.
		{1 |
			every name, limit in entry.limits {
				limit == {"max": limit.max}
				value := params[name]
				true < value
				value <= limit.max
				value * 100 <= limit.max * points.near_limit_percent
			}
		},
		# The legal ground.
		{1 |
			templates := data.leg_templates
			form := templates[leg.template.id]
			form.version == leg.template.version
			form.basis == leg.basis
			leg.basis != "CONSENT"
			leg.jurisdiction in form.jurisdictions
			entry.data_class in form.data_classes
			family in form.acts
			texts := [leg.ref, leg.description, leg.accountable_party.type, leg.accountable_party.id, leg.template.digest]
			concat("", texts) != ""
			not "" in texts
			0 < input.time
			input.time < 9000000000
			now := time.format(input.time * 1000000000)
			form.valid_from <= now
			now < form.valid_until
			not form.withdrawn
		},
		(# Approvals: nobody is asked and nobody brought, or every one brought counts, each in its own name.
		({1 |
			plain != set()
			input.approvals == []
			input.requires_dual_control == false
			grade.approvals == 0
			grade.roles == {}
			not entry.approval
			not leg.approval
			not leg.dual_control
		} | {1 |
			# One, where nothing asks for more.
			plain != set()
			first := input.approvals[0]
			input.approvals == [first]
			approvers := data.approvers
			who := approvers[first.id]
			leg.approval.approver_id == first.id
			not leg.dual_control
			not first.on_behalf_of
			not who.valid_from
			not who.valid_until
			grade.approvals == 1
			grade.roles == {}
			not entry.approval
			input.requires_dual_control == false
			entry.tier in who.tiers
			input.workspace in who.workspaces
			{family, "*"} & {pattern | some pattern in who.acts} != set()
			concat("", [who.person, agent.operator, first.id]) != ""
			agent.operator != ""
			leg.accountable_party.id
			not who.person in [agent.operator, leg.accountable_party.id]
			not first.id in [p.sub, leg.accountable_party.id]
		}) | {1 |
			# Two people.
			plain != set()
			first := input.approvals[0]
			second := input.approvals[1]
			input.approvals == [first, second]
			control := leg.dual_control
			control.required == true
			control.approvers[0].id == first.id
			control.approvers[1].id == second.id
			not control.approvers[2]
			not leg.approval
			approvers := data.approvers
			one := approvers[first.id]
			other := approvers[second.id]
			not first.on_behalf_of
			not second.on_behalf_of
			not one.valid_from
			not one.valid_until
			not other.valid_from
			not other.valid_until
			entry.tier in one.tiers
			entry.tier in other.tiers
			input.workspace in one.workspaces
			input.workspace in other.workspaces
			wide := {family, "*"}
			wide & {pattern | some pattern in one.acts} != set()
			wide & {pattern | some pattern in other.acts} != set()
			concat("", [one.person, other.person, agent.operator, first.id, second.id]) != ""
			agent.operator != ""
			leg.accountable_party.id
			barred := [p.sub, agent.operator, leg.accountable_party.id]
			not one.person in barred
			not other.person in barred
			not first.id in barred
			not second.id in barred
			one.person != other.person
			grade.approvals <= 2
			asked := object.union(grade, object.get(entry, "approval", {}))
			asked.approvals <= 2
			roles := data.roles
			{class |
				some class, least in asked.roles
				count([1 |
					some who in [one, other]
					true in [roles[class][role] | some role in who.roles]
				]) < least
			} == set()
		}),
		(# The ticket.
		{1 |
			grade.ticket == false
			plain != set()
		} | {1 |
			grade.ticket == true
			ticket := [leg.ticket.system, leg.ticket.ref]
			concat("", ticket) != ""
			not "" in ticket
		}),
		(# The binding to this very call.
		{1 |
			entry.bind_request == false
			{1 | p.req != null} == set()
		} | {1 |
			req := p.req
			tied := [req.digest, req.connector, req.method, req.path]
			tied == [call.digest, call.connector, call.method, call.path]
			concat("", tied) != ""
		}),
		# Time, rates, overlays.
		plain,
	]
	answer := poa_answer(gates, entry)
}

else := unmandated_decision if unmandated

else := poa_answer([set(), set(), set(), set(), set(), set(), set(), set(), set(), set()], act_entry) if act_grade

else := poa_answer([set(), set(), {1}, {1}, {1}, set(), {1}, {1}, {1}, set()], {})

# METADATA
# title: Shorthand for the decision's allow
poa["allow"] := poa.decision.allow

# METADATA
# title: The document for what the gates say
# description: >-
#   Open gates are enough for a permission. Findings behind a closed one are a denial. Where there are none, the
#   long form of the gate must hold, so a hole in the findings never permits.
# custom:
#   fast_path: true
poa_answer(gates, entry) := {
	"allow": true,
	"reason": "ok",
	"tier": entry.tier,
	"missing": [],
	"obligations": [{"type": "redact_response_log"} | entry.data_class in ["personal", "sensitive"]],
	"matched": shown.matched,
	"violations": [],
	"risk": shown.risk,
} if {
	not set() in gates
	shown := report_brief(entry)
}

else := denial if {
	found := union({
		{one | gates[0] == set(); some one in mandate_explained},
		{one | gates[0] == set(); some one in poa_call_explained},
		{["mandate_time", "/poa/nbf"] |
			gates[1] == set()
			entry.tier
			not mandate_in_time
			input.time < input.poa.nbf
		},
		{["mandate_time", "/poa/exp"] |
			gates[1] == set()
			entry.tier
			not mandate_in_time
			{1 | input.time < input.poa.nbf} == set()
		},
		{["input_malformed", "/time"] |
			gates[1] == set()
			{1 |
				true < input.time
				input.time < ""
			} == set()
		},
		{one | gates[2] == set(); some one in parameters_explained},
		{one | gates[3] == set(); some one in constraints_form_explained},
		{one | gates[3] == set(); some one in constraints_broken},
		{one | gates[4] == set(); some one in constraints_over},
		{one | gates[5] == set(); some one in leg_explained},
		{one | gates[6] == set(); some one in approval_explained},
		{["ticket_missing", "/poa/leg/ticket"] |
			gates[7] == set()
			entry.tier
			not approval_ticketed
		},
		{one | gates[8] == set(); some one in mandate_unbound},
		{one | gates[9] == set(); some one in local_explained},
	})
	denial := report_denial(entry, found, report_shows([gates[4], gates[9]], entry))
} else := permit if {
	unproven := union({
		{0 | gates[0] == set(); not poa_sound},
		{1 | gates[1] == set(); not mandate_in_time},
		{2 | gates[2] == set(); not parameters_ok},
		{3 | gates[3] == set(); not constraints_ok},
		{4 | gates[4] == set(); not constraints_kept},
		{5 | gates[5] == set(); not leg_ok},
		{6 | gates[6] == set(); not approval_ok},
		{7 | gates[7] == set(); not approval_ticketed},
		{8 | gates[8] == set(); not mandate_bound},
		{9 | gates[9] == set(); local_explained != set()},
	})
	unproven == set()
	permit := report_permit(entry, [], report_shows([gates[4], gates[9]], entry))
} else := report_undefined

# METADATA
# title: The holder, the platform and the act of the call, whatever the gates say
poa_sound if {
	input.phase == "call"
	platform_explained == set()
	mandate_sound
	mandate_same_act
}

# METADATA
# title: What is wrong with the call itself
# description: The first body is the short way where nothing is and the directory asks for no platform.
# custom:
#   fast_path: true
#   owner: broker
#   controls: [ISO 27001 A.5.15]
poa_call_explained := set() if {
	input.phase == "call"
	call := input.request
	{} <= call.params
	input.poa.act == call.act
	agents := data.agents
	{1 | agents[input.agent.id].platform} == set()
} else := (mandate_act_explained | platform_explained) | {["input_malformed", "/phase"] |
	object.get(mandate_doc, "phase", null) != "call"
}

# METADATA
# title: All findings, whatever the gates say
# description: The tests hold the decision against it.
poa_found := union({
	mandate_explained, mandate_unbound, poa_call_explained, mandate_time_findings, parameters_explained, constraints_form_explained,
	constraints_kept_explained, leg_explained, approval_explained, approval_ticket_explained, local_explained,
})
