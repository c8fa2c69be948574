# Why an approval does not count (owner: agentauth)
#
# Evaluated where something is wrong. Each comprehension of `approval_objections` is one reason against one approval, by
# its position; `approval_stands` says the same as a proof, and only the proof makes an approval count.

package atb

# METADATA
# title: Approvals that do not count, each with its reason
# description: The reason of the lowest rank, as in a decision.
approval_refused := [{"id": one.id, "reason": reason} |
	some i, one in approval_given
	is_string(one.id)
	not i in approval_counts
	reason := approval_refusal(i)
]

# METADATA
# title: Why one approval does not count
approval_refusal(i) := reason if {
	ranked := sort([[data.reasons[row[0]].rank, row[0]] | some row in approval_objections; row[1] == i])
	first := ranked[0]
	reason := first[1]
} else := "approval_too_many" if i >= 8

else := "same_person" if approval_people[i] != set()

else := "policy_undefined"

# METADATA
# title: What is missing or wrong, looked at on denial only
# description: Every reason against every approval.
default approval_explained := set()

approval_explained := found if {
	act_grade
	lacking := approval_roles_missing
	found := union({
		{[row[0], concat("/", ["/approvals", format_int(row[1], 10)])] | some row in approval_objections},
		{["same_person", concat("/", ["/approvals", format_int(i, 10)])] |
			some i, people in approval_people
			people != set()
			i < 8
			not i in approval_counts
		},
		{["approval_too_many", concat("/", ["/approvals", format_int(i, 10)])] |
			some i, _ in approval_given
			i >= 8
		},
		{["input_malformed", "/approvals"] |
			[1 |
				[] <= input.approvals
				input.approvals < {}
			] == []
		},
		{["agent_operator_unknown", "/poa/sub"] | not approval_operated},
		{["approval_missing", "/approvals"] | count(approval_counts) < approval_usual},
		approval_beyond_explained,
		{["role_missing", "/approvals"] | lacking != {}},
		{["leg_approval_shape", "/poa/leg"] |
			not approval_nothing_offered
			not approval_shaped
		},
	})
}

# METADATA
# title: What risk, attestations and privileged values ask beyond the act
# description: The first body is the short way where none of them can ask for anything.
# custom:
#   fast_path: true
approval_beyond_explained := set() if {
	overlay_none
	entry := act_entry
	not entry.attestations
	not entry.privileged
} else := union({risk_explained, attestation_explained, privileged_explained})

# METADATA
# title: The ticket is looked at by itself
approval_ticket_explained := {["ticket_missing", "/poa/leg/ticket"] |
	act_grade
	not approval_ticketed
}

# METADATA
# title: Every reason against every approval, by position
# custom:
#   owner: agentauth
#   controls: [ISO 27001 A.5.3]
approval_objections := approval_objections_own | approval_objections_behalf

# METADATA
# title: Reasons against the one who signed
# description: What she may approve herself does not matter where she acts for another.
approval_objections_own := union({
	{["input_malformed", i] |
		some i, one in given
		[1 |
			"" <= one.id
			one.id < []
		] == []
	},
	{["approver_is_requester", i] | some i, one in given; one.id in [input.poa.sub]},
	{["approver_is_requester", i] | some i, one in given; one.id in [input.agent.id]},
	{["approver_unknown", i] |
		some i, one in given
		[1 |
			"" <= approvers[one.id].person
			approvers[one.id].person < []
		] == []
	},
	{["approver_operates_requester", i] |
		operator := data.agents[input.poa.sub].operator
		some i, one in given
		operator == approvers[one.id].person
	},
	{["approver_is_accountable_party", i] |
		answers := input.poa.leg.accountable_party.id
		some i, one in given
		answers in [one.id, approvers[one.id].person]
	},
	{["approver_not_in_force", i] |
		some i, one in given
		entry := approvers[one.id]
		not approval_in_force(entry, one)
	},
	{["approver_tier", i] |
		some i, one in plain
		permitted := approvers[one.id].tiers
		tier := act_tier
		not tier in permitted
	},
	{["approver_act", i] |
		some i, one in plain
		patterns := approvers[one.id].acts
		not act_covers(patterns)
	},
	{["approver_workspace", i] |
		space := input.workspace
		some i, one in plain
		spaces := approvers[one.id].workspaces
		not space in spaces
	},
}) if {
	approvers := data.approvers
	given := approval_given
	plain := {i: one | some i, one in given; not approval_scopes[i]}
}

# METADATA
# title: By position, on whose behalf an approval was given and within what scope
approval_scopes := {i: scope |
	some i, one in approval_given
	scope := one.on_behalf_of
	scope != false
}

# METADATA
# title: Reasons against the delegation and the person behind it
default approval_objections_behalf := set()

approval_objections_behalf := union({
	{["input_malformed", i] | some i, scope in scopes; not approval_scope_formed(scope)},
	{["delegator_is_requester", i] | some i, scope in scopes; scope.id in [input.poa.sub]},
	{["delegator_is_requester", i] | some i, scope in scopes; scope.id in [input.agent.id]},
	{["delegator_unknown", i] |
		some i, scope in scopes
		[1 |
			"" <= approvers[scope.id].person
			approvers[scope.id].person < []
		] == []
	},
	{["delegator_operates_requester", i] |
		operator := data.agents[input.poa.sub].operator
		some i, scope in scopes
		operator == approvers[scope.id].person
	},
	{["delegator_is_accountable_party", i] |
		answers := input.poa.leg.accountable_party.id
		some i, scope in scopes
		answers in [scope.id, approvers[scope.id].person]
	},
	{["delegation_to_self", i] |
		some i, scope in scopes
		one := approval_given[i]
		approvers[one.id].person == approvers[scope.id].person
	},
	{["delegation_not_allowed", i] | some i, _ in scopes; [1 | approval_grade.delegable == true] == []},
	{["delegation_scope", i] |
		some i, scope in scopes
		approval_scope_formed(scope)
		not approval_entitled(scope)
	},
	{["delegator_not_entitled", i] |
		some i, scope in scopes
		entry := approvers[scope.id]
		not approval_entitled(entry)
	},
	{["delegator_not_in_force", i] |
		some i, scope in scopes
		entry := approvers[scope.id]
		one := approval_given[i]
		not approval_in_force(entry, one)
	},
}) if {
	scopes := approval_scopes
	scopes != {}
	approvers := data.approvers
}

# Where nothing is offered and nothing declared, approval_missing says it all.
approval_nothing_offered if {
	input.approvals == []
	not input.poa.leg.dual_control
	not input.poa.leg.approval
}

# METADATA
# title: What is wrong with a draft before anybody is asked
# custom:
#   fast_path: true
approval_draft_findings := set() if approval_draft_ok

else := approval_draft_explained

# METADATA
# title: What is wrong with a draft, each by itself
approval_draft_explained contains ["agent_operator_unknown", "/poa/sub"] if {
	approval.requirement != null
	not approval_operated
}

approval_draft_explained contains ["ticket_missing", "/poa/leg/ticket"] if {
	act_grade
	not approval_ticketed
}

approval_draft_explained contains ["leg_approval_shape", "/poa/leg"] if {
	some id in approval_declared
	not id in approval_proven
}
