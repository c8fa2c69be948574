# Approvals (owner: agentauth)
#
# Who must agree, and who counts. Distinct means distinct people: the directory maps every identity to a person. The
# requester, the operator of the requesting agent and the accountable party never count, nor does anybody who acts for
# one of them. `input.approvals` holds only statements that have been verified, in the order in which they came: first
# come, first counted, so that one more approval never lowers the count. Why somebody does not count:
# `approval_explain.rego`.

package atb

# METADATA
# title: What tier, act, privileged target and overlays ask together
# description: The strictest of all; an act only tightens what its tier asks, which the bundle's loader has proven.
# custom:
#   fast_path: true
approval_grade := grade if {
	overlay_none
	entry := act_entry
	not entry.approval
	not entry.privileged
	tiers := data.tiers
	grade := tiers[entry.tier]
} else := object.union(grade, {
	"approvals": max({one.approvals | some one in asks} | {least | some least in roles}),
	"roles": roles,
	"delegable": {one | some one in asks; one.delegable == false} == set(),
	"ticket": {one | some one in asks; one.ticket == true} != set(),
	"challenge_seconds": min([one.challenge_seconds | some one in asks]),
}) if {
	grade := act_grade
	asks := array.concat([grade], approval_asks)
	roles := {class: max([least | some other in asks; least := other.roles[class]]) |
		some one in asks
		some class, _ in object.get(one, "roles", {})
	}
}

# METADATA
# title: What is asked beyond the tier
# custom:
#   fast_path: true
approval_asks := [] if {
	overlay_none
	entry := act_entry
	not entry.approval
	not entry.privileged
} else := array.concat(
	[asked | asked := act_entry.approval],
	array.concat(privileged_asked, overlay_approvals),
)

# METADATA
# title: Number of people who must approve
# description: One more than otherwise where the risk is above the threshold; two at least where dual control is asked for.
approval_needed := max(approval_floor | {approval_grade.approvals + 1}) if risk_high

else := approval_usual

# METADATA
# title: The same whatever the risk
approval_usual := max(approval_floor | {approval_grade.approvals})

# METADATA
# title: Two where dual control is asked for or declared
approval_floor := {2 | approval_dual}

# METADATA
# title: Dual control is asked for, or the ground declares it
approval_dual if input.requires_dual_control == true

else if input.poa.leg.dual_control

# METADATA
# title: What the act asks for
# description: Null for an unknown act.
approval["requirement"] := {
	"required": approval_needed,
	"roles": approval_grade.roles,
	"excluded": ["accountable_party", "operator", "requester"],
	"delegable": approval_grade.delegable,
	"ticket": approval_grade.ticket,
	"challenge_seconds": approval_grade.challenge_seconds,
	"max_ttl_seconds": act_cap,
} if {
	approval_grade
} else := null

# METADATA
# title: The statements, an empty list where something else arrives
default approval_given := []

approval_given := input.approvals if is_array(input.approvals)

# METADATA
# title: The person who operates the agent, null when nobody is known to
approval_operator := person if {
	person := data.agents[input.poa.sub].operator
	is_string(person)
	person != ""
} else := null

# METADATA
# title: Somebody is known to operate the agent, or nobody need approve
approval_operated if approval_operator != null

else if approval_needed == 0

# METADATA
# title: Approvals, attestations, roles, ticket and shape are all as tier and act ask
# description: An approval in a mandate that does not count is a sign of tampering, however many do.
approval_ok if {
	approval_shaped
	attestation_lacking == set()
	approval_ticketed
	approval_operated
	approved := count(approval_counts)
	approved == count(input.approvals)
	approved >= approval_needed
	approval_roles_missing == {}
}

# METADATA
# title: This approval stands by itself, whoever else has approved
# description: >-
#   In the approver's own name, or on behalf of another: then both are people of the directory and in force, what the
#   other may approve counts, and the delegation must cover it too.
approval_stands(one) if {
	not one.on_behalf_of
	entry := data.approvers[one.id]
	approval_aloof(one.id, entry)
	approval_in_force(entry, one)
	approval_entitled(entry)
} else if {
	scope := one.on_behalf_of
	approval_scope_formed(scope)
	entry := data.approvers[one.id]
	approval_aloof(one.id, entry)
	approval_in_force(entry, one)
	delegator := data.approvers[scope.id]
	approval_aloof(scope.id, delegator)
	approval_in_force(delegator, one)
	delegator.person != entry.person
	approval_grade.delegable == true
	approval_entitled(delegator)
	approval_entitled(scope)
}

# METADATA
# title: A person, and neither the requester nor its operator nor the accountable party
approval_aloof(id, entry) if {
	is_string(entry.person)
	id != input.poa.sub
	id != input.agent.id
	entry.person != approval_operator
	answers := input.poa.leg.accountable_party.id
	entry.person != answers
	id != answers
}

# METADATA
# title: Tier, workspace and act are among those of a directory's entry, or of a delegation's scope
approval_entitled(entry) if {
	act_tier in entry.tiers
	input.workspace in entry.workspaces
	act_covers(entry.acts)
}

# METADATA
# title: The entry is in force, both now and when the statement was signed
# description: From the start of its first day to the end of its last, in UTC, as for templates.
# custom:
#   fast_path: true
approval_in_force(entry, one) if {
	not entry.valid_from
	not entry.valid_until
	is_object(one)
} else if {
	first := object.get(entry, "valid_from", "")
	last := object.get(entry, "valid_until", "9999-12-31")
	every at in [input.time, one.approved_at] {
		at > 0
		at < 9000000000
		day := substring(time.format(at * 1000000000), 0, 10)
		day >= first
		day <= last
	}
}

# METADATA
# title: A delegation has a scope
approval_scope_formed(scope) if {
	is_string(scope.id)
	is_array(scope.tiers)
	is_array(scope.acts)
	is_array(scope.workspaces)
}

# METADATA
# title: The people whom each approval uses up, none for one that does not stand
approval_people := [people |
	some one in approval_given
	people := approval_people_of(one)
]

# METADATA
# title: The people whom one approval uses up
approval_people_of(one) := {data.approvers[id].person | some id in [one.id, object.get(one, ["on_behalf_of", "id"], one.id)]} if {
	approval_stands(one)
}

else := set()

# METADATA
# title: Positions of the approvals that count
# description: >-
#   In the order given: one counts whose people no earlier one has used. Rego does not recurse, hence a line for each of
#   the eight that a mandate can carry; what comes after them does not count, and where there is none nobody does.
default approval_counts := set()

approval_counts := {i | some i, people in eight; people != set(); people & before[i] == set()} if {
	pad := [set(), set(), set(), set(), set(), set(), set()]
	eight := array.slice(array.concat(approval_people, pad), 0, 8)
	[a, b, c, d, e, f, g, _] := eight
	used1 := a
	used2 := used1 | {x | used1 & b == set(); some x in b}
	used3 := used2 | {x | used2 & c == set(); some x in c}
	used4 := used3 | {x | used3 & d == set(); some x in d}
	used5 := used4 | {x | used4 & e == set(); some x in e}
	used6 := used5 | {x | used5 & f == set(); some x in f}
	used7 := used6 | {x | used6 & g == set(); some x in g}
	before := [set(), used1, used2, used3, used4, used5, used6, used7]
}

# METADATA
# title: The approvals that count, in the order given
approval_counted := [approval_vote(one) |
	some i, one in approval_given
	i in approval_counts
]

# METADATA
# title: One approval that counts, as the answer shows it
approval_vote(one) := {"id": one.id, "person": data.approvers[one.id].person, "roles": approval_classes(data.approvers[one.id])} if {
	not one.on_behalf_of
}

else := {
	"id": one.id,
	"person": data.approvers[one.id].person,
	"roles": approval_classes(delegator),
	"on_behalf_of": delegator.person,
} if {
	delegator := data.approvers[one.on_behalf_of.id]
}

# METADATA
# title: The classes of `data.roles` that an entry's roles belong to
approval_classes(entry) := sort({class |
	some class, members in data.roles
	some role in entry.roles
	members[role] == true
})

# METADATA
# title: How many people with a role of each class are still missing
approval_roles_missing := {class: lacking |
	some class, needed in object.get(approval_asked, "roles", {})
	lacking := needed - count([1 | some vote in approval_counted; class in vote.roles])
	lacking > 0
}

# METADATA
# title: What is asked for, empty for an unknown act
default approval_asked := {}

approval_asked := approval_grade

# METADATA
# title: The ticket is there where the tier asks for one
approval_ticketed if approval_grade.ticket == false

else if {
	is_string(input.poa.leg.ticket.system)
	is_string(input.poa.leg.ticket.ref)
	input.poa.leg.ticket.system != ""
	input.poa.leg.ticket.ref != ""
}

# METADATA
# title: The approvals that the ground declares are the proven ones, in the form that tier and act ask
# description: A ground that declares dual control needs two at least, so the forms for one and for none are not open to it.
approval_shaped if {
	1 in [approval_needed, approval_usual]
	{input.poa.leg.approval.approver_id} == approval_proven
} else if {
	control := input.poa.leg.dual_control
	control.required == true
	is_array(control.approvers)
	ids := {approver.id | some approver in control.approvers}
	ids == approval_proven
	count(ids) >= 2
	count(control.approvers) == count(ids)
	not input.poa.leg.approval
} else if {
	approval_needed == 0
	not input.poa.leg.approval
	approval_proven == set()
}

# METADATA
# title: The identities that have signed
approval_proven := {statement.id | some statement in approval_given}

# METADATA
# title: Who counts and who does not
# description: >-
#   One entry per approval, in the order given. The first body is the short way where every one counts, in its own name;
#   narrower than `approval_counts`, never wider. The second is the long way.
# custom:
#   fast_path: true
approval["assessment"] := {
	"counted": counted,
	"refused": [],
	"approved": approved,
	"required": needed,
	"roles_missing": lacking,
	"met": met,
} if {
	given := input.approvals
	[] <= given
	given < {}
	p := input.poa
	caller := input.agent.id
	not p.leg.dual_control
	overlay_none
	answers := p.leg.accountable_party.id
	catalogue := data.catalogue
	entry := catalogue[p.act]
	tiers := data.tiers
	not entry.privileged
	not entry.attestations
	grade := object.union(tiers[entry.tier], object.get(entry, "approval", {}))
	agents := data.agents
	operator := agents[p.sub].operator
	"" < operator
	operator < []
	names := split(p.act, ".")
	family := concat("", [names[0], ".*"])
	approvers := data.approvers
	every one in given {
		not one.on_behalf_of
		who := approvers[one.id]
		"" <= who.person
		who.person < []
		{1 |
			who.valid_from
			not approval_in_force(who, one)
		} == set()
		{1 |
			who.valid_until
			not approval_in_force(who, one)
		} == set()
		entry.tier in who.tiers
		input.workspace in who.workspaces
		{1 |
			not "*" in who.acts
			not family in who.acts
		} == set()
	}
	ids := [one.id | some one in given]
	people := {approvers[id].person | some id in ids}
	approved := count(ids)
	approved <= 8
	approved == count(people)
	not p.sub in ids
	not caller in ids
	not operator in people
	not answers in ids
	not answers in people
	roles := data.roles
	counted := [{"id": id, "person": approvers[id].person, "roles": held} |
		some id in ids
		held := sort({class |
			some class, members in roles
			some role in approvers[id].roles
			members[role] == true
		})
	]
	needed := max({grade.approvals} | {2 | input.requires_dual_control == true})
	lacking := {class: gap |
		some class, least in grade.roles
		gap := least - count([1 | some vote in counted; class in vote.roles])
		gap > 0
	}
	met := [approved >= needed, lacking] == [true, {}]
} else := {
	"counted": approval_counted,
	"refused": approval_refused,
	"approved": count(approval_counted),
	"required": approval.requirement.required,
	"roles_missing": approval_roles_missing,
	"met": approval_met,
} if {
	approval.requirement != null
} else := {
	"counted": [],
	"refused": approval_refused,
	"approved": 0,
	"required": 0,
	"roles_missing": {},
	"met": false,
}

# METADATA
# title: Nobody and nothing is missing
# custom:
#   owner: agentauth
#   controls: [ISO 27001 A.5.3, ISO 27001 A.5.15]
default approval_met := false

approval_met if {
	count(approval_counted) >= approval_needed
	approval_roles_missing == {}
	attestation_lacking == set()
	approval_operated
}

# METADATA
# title: What a draft must already bring before anybody is asked
approval_draft_ok if {
	approval_operated
	approval_ticketed
	every id in approval_declared { id in approval_proven }
}

# METADATA
# title: The approvers that a draft declares by itself
approval_declared contains id if id := input.poa.leg.approval.approver_id

approval_declared contains id if {
	is_array(input.poa.leg.dual_control.approvers)
	some approver in input.poa.leg.dual_control.approvers
	id := approver.id
}
