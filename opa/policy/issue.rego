# Decision on a draft (owner: agentauth)
#
# Asked before a mandate is made: may this agent have a mandate of this content once the required people have
# agreed. The same checks as for a call, as far as they make sense before there is one; approvals are not part of
# `allow`, `requirement` says what they must be. Reasons of its own: ttl_too_long.

package atb

# METADATA
# title: The decision
# description: >-
#   The document of a call's decision and `requirement`, null for an unknown act. One body of gates, as in a call's
#   decision and under the same rule: a gate may be narrower than its long form in `issue_answer`, never wider. All of
#   them take for granted what stands before them; where that does not hold, every gate is closed. The bundle's loader
#   has proven the types of the data.
# entrypoint: true
# custom:
#   fast_path: true
issue["decision"] := answer if {
	overlay_none
	p := input.poa
	leg := p.leg
	not leg.dual_control
	[] <= input.approvals
	input.approvals < {}
	0 < input.time
	input.time < 9000000000
	catalogue := data.catalogue
	entry := catalogue[p.act]
	not entry.privileged
	not entry.attestations
	props := entry.parameters.properties
	near := data.risk.near_limit_percent
	tiers := data.tiers
	grade := tiers[entry.tier]
	agents := data.agents
	agent := agents[p.sub]
	not agent.platform
	raised := {false: 0, true: 2}
	asked := object.union(grade, object.get(entry, "approval", {}))
	needed := max([asked.approvals, raised[input.requires_dual_control]])
	cap := object.get(entry, "max_ttl_seconds", grade.max_ttl_seconds)
	cap <= grade.max_ttl_seconds
	requirement := {
		"required": needed,
		"roles": asked.roles,
		"excluded": ["accountable_party", "operator", "requester"],
		"delegable": grade.delegable,
		"ticket": grade.ticket,
		"challenge_seconds": asked.challenge_seconds,
		"max_ttl_seconds": cap,
	}
	gates := [
		# Holder, workspace, tier, lifetime.
		{1 |
			input.phase == "issue"
			p.sub == input.agent.id
			p.tier == entry.tier
			input.workspace == agent.workspace
			0 < p.ttl
			p.ttl <= cap
		},
		(# The binding to the call that was named.
		{1 |
			entry.bind_request == false
			{1 | p.req != null} == set()
		} | {1 |
			req := p.req
			call := input.request
			tied := [req.digest, req.connector, req.method, req.path]
			tied == [call.digest, call.connector, call.method, call.path]
			concat("", tied) != ""
		}),
		(# A call is named, and its parameters, constraints and limits fit: what holds for typed values holds for the form.
		{1 |
			call := input.request
			p.act == call.act
			params := call.params
			{} <= params
			every name in entry.parameters.required { params[name] != null }
			typed := [name | some name, value in params; type_name(value) == props[name].type]
			every name, value in object.remove(params, typed) {
				props[name].type == "integer"
				value >= -9007199254740991
				value <= 9007199254740991
				value == round(value)
			}
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
			every name, limit in entry.limits {
				limit == {"max": limit.max}
				value := params[name]
				true < value
				value <= limit.max
				value * 100 <= limit.max * near
			}
		} | {1 |
			# None is named: values of unlimited parameters, upper bounds not above the limit.
			{1 | input.request != null} == set()
			{} <= p.con
			every name, con in p.con {
				kind := props[name].type
				formed := {1 |
					type_name(con) == kind
					null < con
					con < []
					{1 | _ := entry.limits[name]} == set()
				} | {1 |
					con == {"max": con.max}
					true < con.max
					con.max < ""
					kind in ["number", "integer"]
					{1 | con.max > entry.limits[name].max} == set()
					{1 | con.max * 100 > entry.limits[name].max * near} == set()
				}
				formed != set()
			}
		}),
		# The legal ground.
		{1 |
			templates := data.leg_templates
			form := templates[leg.template.id]
			form.version == leg.template.version
			form.basis == leg.basis
			leg.basis != "CONSENT"
			leg.jurisdiction in form.jurisdictions
			entry.data_class in form.data_classes
			names := split(p.act, ".")
			family := concat("", [names[0], ".*"])
			family in form.acts
			texts := [leg.ref, leg.description, leg.accountable_party.type, leg.accountable_party.id, leg.template.digest]
			concat("", texts) != ""
			not "" in texts
			now := time.format(input.time * 1000000000)
			form.valid_from <= now
			now < form.valid_until
			not form.withdrawn
		},
		# Operator, ticket, and no approval that the draft declares by itself.
		{1 |
			"" < agent.operator
			agent.operator < []
			not leg.approval
			{1 |
				grade.ticket != false
				{1 |
					ticket := [leg.ticket.system, leg.ticket.ref]
					concat("", ticket) != ""
					not "" in ticket
				} == set()
			} == set()
		},
	]
	answer := issue_answer(array.concat(gates, [{1}]), entry, requirement)
}

else := issue_answer([set(), set(), set(), set(), set(), set()], act_listed, approval.requirement)

# METADATA
# title: Shorthand for the decision's allow
issue["allow"] := issue.decision.allow

# METADATA
# title: The document for what the gates say
# description: >-
#   Open gates are enough for a permission; where nobody has approved yet, what is missing is at hand. Otherwise as for
#   a call: findings behind a closed gate deny, and where there are none its long form must hold.
# custom:
#   fast_path: true
issue_answer(gates, entry, requirement) := {
	"allow": true,
	"reason": "ok",
	"tier": entry.tier,
	"missing": [name | some name, open in object.union(requirement.roles, {"approval": requirement.required}); open > 0],
	"obligations": [{"type": "redact_response_log"} | entry.data_class in ["personal", "sensitive"]],
	"matched": shown.matched,
	"violations": [],
	"risk": shown.risk,
	"requirement": requirement,
} if {
	not set() in gates
	input.approvals == []
	shown := report_brief(entry)
}

else := object.union(report_permit(entry, missing, shown), {"requirement": requirement}) if {
	not set() in gates
	shown := report_brief(entry)
	assessed := approval.assessment
	lacking := object.union(assessed.roles_missing, {"approval": requirement.required - assessed.approved})
	missing := [name | some name, open in lacking; open > 0]
}

else := object.union(denial, {"requirement": requirement}) if {
	found := union({
		{one | gates[0] == set(); some one in issue_phase_findings},
		{one | gates[0] == set(); some one in mandate_explained},
		{one | gates[0] == set(); some one in mandate_ttl_findings},
		{one | gates[1] == set(); some one in mandate_unbound},
		{one | gates[2] == set(); some one in constraints_form_findings},
		{one | gates[2] == set(); some one in issue_call_findings},
		{one | gates[3] == set(); some one in leg_findings},
		{one | gates[4] == set(); some one in approval_draft_findings},
		{one | gates[5] == set(); some one in platform_explained},
		{one | gates[5] == set(); some one in local_explained},
	})
	denial := report_denial(entry, found, report_shows([gates[2], gates[5]], entry))
} else := object.union(permit, {"requirement": requirement}) if {
	unproven := union({
		{0 | gates[0] == set(); not issue_sound},
		{1 | gates[0] == set(); not mandate_ttl_fits},
		{2 | gates[1] == set(); not mandate_bound},
		{3 | gates[2] == set(); not constraints_formed},
		{4 | gates[2] == set(); not issue_call_fits},
		{5 | gates[3] == set(); not leg_ok},
		{6 | gates[4] == set(); not approval_draft_ok},
		{7 | gates[5] == set(); platform_explained != set()},
		{8 | gates[5] == set(); local_explained != set()},
	})
	unproven == set()
	permit := report_permit(entry, issue_outstanding, report_shows([gates[2], gates[5]], entry))
} else := object.union(report_undefined, {"requirement": requirement})

# METADATA
# title: The long form of the first gate
issue_sound if {
	input.phase == "issue"
	mandate_sound
}

# METADATA
# title: The long form of all gates, whatever they say
# description: The tests hold the decision against it.
issue_permitted if {
	issue_sound
	mandate_ttl_fits
	mandate_bound
	constraints_formed
	issue_call_fits
	leg_ok
	approval_draft_ok
	platform_explained == set()
	local_explained == set()
}

# METADATA
# title: Where the asker names an exact call, that call is held against the draft
issue_call_fits if not mandate_called

else if {
	mandate_same_act
	parameters_ok
	constraints_kept
}

# METADATA
# title: What is wrong with the call that a draft names
# custom:
#   fast_path: true
issue_call_findings := set() if issue_call_fits

else := (mandate_act_findings | parameters_findings) | constraints_kept_findings

# METADATA
# title: All findings, whatever the gates say
# custom:
#   owner: agentauth
#   controls: [ISO 27001 A.5.15]
issue_found := union({
	issue_phase_findings, mandate_findings, mandate_ttl_findings, constraints_form_findings, issue_call_findings, leg_findings,
	approval_draft_findings, platform_explained, local_explained,
})

# METADATA
# title: A draft is asked about in its own phase
issue_phase_findings := set() if input.phase == "issue"

else := {["input_malformed", "/phase"]}

# METADATA
# title: What must still come before the mandate can be made
issue_outstanding := sort([name | some name, open in issue_still; open])

# METADATA
# title: What may be outstanding
issue_still := object.union(
	object.union(
		{class: true | some class, _ in approval_roles_missing},
		{concat(":", ["attestation", name]): true | some name in attestation_lacking},
	),
	{"approval": count(approval_counts) < approval_needed},
)
