# Approvals (owner: agentauth)
#
# Who must agree, who has, and who does not count. Distinct means distinct people: the directory maps every
# identity to a person. The requester, the operator of the requesting agent and the accountable party never count.
# `input.approvals` holds only statements that have been verified.

package atb

# METADATA
# title: Number of people who must approve
# description: The tier's number; at least two where dual control is asked for or declared.
approval_needed := max([2, act_grade.approvals]) if approval_dual

else := act_grade.approvals

approval_dual if input.requires_dual_control == true

else if input.poa.leg.dual_control

# METADATA
# title: What the act asks for
# description: Null for an unknown act.
approval["requirement"] := {
	"required": approval_needed,
	"executives": act_grade.executives,
	"ticket": act_grade.ticket,
	"challenge_seconds": act_grade.challenge_seconds,
	"max_ttl_seconds": act_cap,
} if {
	act_grade
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
# title: Approvals, executives, ticket and shape are all as the tier asks
# description: The first body is the short way for an act that needs nobody and brings nothing.
approval_ok if {
	grade := act_grade
	grade.approvals == 0
	grade.executives == 0
	grade.ticket == false
	input.approvals == []
	input.requires_dual_control == false
	leg := input.poa.leg
	not leg.approval
	not leg.dual_control
} else if {
	approval_shaped
	approval_ticketed
	approval_operated
	approved := {who |
		some statement in approval_given
		who := approval_standing(statement.id)
	}
	count(approved) == count(input.approvals)
	count(approved) >= approval_needed
	approval_headed(approved)
}

approval_headed(approved) if {
	act_grade.executives == 0
	is_set(approved)
} else if count([who | some who in approved; approval_senior[who]]) >= act_grade.executives

approval_operated if approval_operator != null

else if approval_needed == 0

# METADATA
# title: The person behind an approver who counts, undefined for one who does not
approval_standing(id) := entry.person if {
	entry := data.approvers[id]
	is_string(entry.person)
	id != input.poa.sub
	id != input.agent.id
	entry.person != approval_operator
	answers := input.poa.leg.accountable_party.id
	entry.person != answers
	id != answers
	act_tier in entry.tiers
	input.workspace in entry.workspaces
	act_covers(entry.acts)
}

# METADATA
# title: People among the approvers who hold an executive role
approval_senior contains person if {
	some statement in approval_given
	entry := data.approvers[statement.id]
	some role in entry.roles
	data.roles.executive[role] == true
	person := entry.person
}

# METADATA
# title: The ticket is there where the tier asks for one
approval_ticketed if act_grade.ticket == false

else if {
	is_string(input.poa.leg.ticket.system)
	is_string(input.poa.leg.ticket.ref)
	input.poa.leg.ticket.system != ""
	input.poa.leg.ticket.ref != ""
}

# METADATA
# title: The approvals that the ground declares are the proven ones, in the form that the tier asks
approval_shaped if {
	not input.poa.leg.dual_control
	approval_needed == 1
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
	not input.poa.leg.dual_control
	not input.poa.leg.approval
	approval_proven == set()
}

approval_proven := {statement.id | some statement in approval_given}

# METADATA
# title: Who counts and who does not
# description: >-
#   One entry per approval; the first identity of a person, by order of its id, is the one that counts. The first body
#   is the short way where every one counts, narrower than `approval_verdict`, never wider. The second is the long way.
approval["assessment"] := {
	"counted": counted,
	"refused": [],
	"approved": approved,
	"required": needed,
	"executives_missing": lacking,
	"met": met,
} if {
	given := input.approvals
	[] <= given
	given < {}
	p := input.poa
	caller := input.agent.id
	not p.leg.dual_control
	answers := p.leg.accountable_party.id
	catalogue := data.catalogue
	entry := catalogue[p.act]
	tiers := data.tiers
	grade := tiers[entry.tier]
	agents := data.agents
	operator := agents[p.sub].operator
	"" < operator
	operator < []
	names := split(p.act, ".")
	family := concat("", [names[0], ".*"])
	approvers := data.approvers
	every one in given {
		who := approvers[one.id]
		"" <= who.person
		who.person < []
		entry.tier in who.tiers
		input.workspace in who.workspaces
		{1 |
			not "*" in who.acts
			not family in who.acts
		} == set()
	}
	ids := sort([one.id | some one in given])
	people := {approvers[id].person | some id in ids}
	approved := count(ids)
	approved == count(people)
	not p.sub in ids
	not caller in ids
	not operator in people
	not answers in ids
	not answers in people
	executive := data.roles.executive
	heads := {id | some id in ids; true in [executive[role] | some role in approvers[id].roles]}
	counted := [{"id": id, "person": approvers[id].person, "executive": senior} | some id in ids; senior := id in heads]
	needed := max({grade.approvals} | {2 | input.requires_dual_control == true})
	lacking := max([0, grade.executives - count(heads)])
	met := [approved >= needed, lacking] == [true, 0]
} else := {
	"counted": approval_counted,
	"refused": approval_refused,
	"approved": count(approval_counted),
	"required": object.get(approval_asked, "required", 0),
	"executives_missing": approval_executives_missing,
	"met": approval_met,
}

default approval_asked := {}

approval_asked := approval.requirement if is_object(approval.requirement)

default approval_met := false

approval_met if {
	count(approval_counted) >= approval_needed
	approval_executives_missing == 0
	approval_operated
}

approval_offers := sort([statement.id |
	some statement in approval_given
	is_object(statement)
	is_string(statement.id)
])

approval_counted := [{"id": id, "person": person, "executive": approval_executive(person)} |
	some i, id in approval_offers
	approval_verdict(id) == "counts"
	person := data.approvers[id].person
	not approval_seen_before(i, person)
]

approval_executive(person) if approval_senior[person]

else := false

approval_seen_before(i, person) if {
	some j, id in approval_offers
	j < i
	data.approvers[id].person == person
	approval_verdict(id) == "counts"
}

# METADATA
# title: Approvals that do not count, each with its reason
approval_refused := [{"id": id, "reason": reason} |
	some i, id in approval_offers
	reason := approval_refusal(i, id)
]

approval_refusal(i, id) := "same_person" if {
	i > 0
	approval_offers[i - 1] == id
}

else := approval_verdict(id) if approval_verdict(id) != "counts"

else := "same_person" if {
	person := data.approvers[id].person
	approval_seen_before(i, person)
}

# METADATA
# title: May this identity approve this at all
approval_verdict(id) := "approver_is_requester" if id == input.poa.sub

else := "approver_is_requester" if id == input.agent.id

else := "approver_unknown" if not data.approvers[id]

else := "approver_unknown" if {
	type_name(object.get(data.approvers[id], "person", null)) != "string"
}

else := "approver_operates_requester" if data.approvers[id].person == approval_operator

else := "approver_is_accountable_party" if data.approvers[id].person == approval_answerable

else := "approver_is_accountable_party" if id == approval_answerable

else := "approver_tier" if {
	tiers := object.get(data.approvers[id], "tiers", [])
	not act_tier in tiers
}

else := "approver_act" if {
	patterns := object.get(data.approvers[id], "acts", [])
	not act_covers(patterns)
}

else := "approver_workspace" if {
	workspaces := object.get(data.approvers[id], "workspaces", [])
	space := object.get(input, "workspace", null)
	not space in workspaces
}

else := "counts"

default approval_answerable := null

approval_answerable := input.poa.leg.accountable_party.id

approval_executives_missing := max([0, object.get(approval_asked, "executives", 0) - count([1 | some one in approval_counted; one.executive])])

# METADATA
# title: What is missing or wrong, looked at on denial only
# description: >-
#   Every reason against every approver. The first one of a person by position is the one that counts.
default approval_explained := set()

approval_explained := found if {
	grade := act_grade
	given := approval_given
	needed := approval_needed
	approvers := data.approvers
	refused := approval_objections(given)
	barred := {row[1] | some row in refused}
	standing := {i: approvers[one.id].person | some i, one in given; not i in barred}
	people := {person | some person in standing}
	found := union({
		{[row[0], concat("/", ["/approvals", format_int(row[1], 10)])] | some row in refused},
		{["same_person", concat("/", ["/approvals", format_int(i, 10)])] |
			count(people) < count(standing)
			some i, person in standing
			[1 | some j, other in standing; j < i; other == person] != []
		},
		{["input_malformed", "/approvals"] |
			[1 |
				[] <= input.approvals
				input.approvals < {}
			] == []
		},
		{["agent_operator_unknown", "/poa/sub"] | not approval_operated},
		{["approval_missing", "/approvals"] | count(people) < needed},
		{["executive_missing", "/approvals"] |
			grade.executives > 0
			executive := data.roles.executive
			heads := {person |
				some i, person in standing
				true in [executive[role] | some role in approvers[given[i].id].roles]
			}
			count(heads) < grade.executives
		},
		{["leg_approval_shape", "/poa/leg"] |
			not approval_nothing_offered
			not approval_shaped
		},
	})
}

# METADATA
# title: The ticket is looked at by itself
approval_ticket_explained := {["ticket_missing", "/poa/leg/ticket"] |
	act_grade
	not approval_ticketed
}

approval_objections(given) := union({
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
	{["approver_tier", i] |
		tier := act_tier
		some i, one in given
		permitted := approvers[one.id].tiers
		not tier in permitted
	},
	{["approver_act", i] |
		some i, one in given
		patterns := approvers[one.id].acts
		not approval_wide(patterns)
	},
	{["approver_workspace", i] |
		space := input.workspace
		some i, one in given
		spaces := approvers[one.id].workspaces
		not space in spaces
	},
}) if {
	approvers := data.approvers
}

approval_wide(patterns) if "*" in patterns

else if act_covers(patterns)

# Where nothing is offered and nothing declared, approval_missing says it all.
approval_nothing_offered if {
	input.approvals == []
	approval_needed > 0
	not input.poa.leg.dual_control
	not input.poa.leg.approval
}

# METADATA
# title: What a draft must already bring before anybody is asked
approval_draft_ok if {
	approval_operated
	approval_ticketed
	every id in approval_declared { id in approval_proven }
}

approval_declared contains id if id := input.poa.leg.approval.approver_id

approval_declared contains id if {
	is_array(input.poa.leg.dual_control.approvers)
	some approver in input.poa.leg.dual_control.approvers
	id := approver.id
}

approval_draft_findings := set() if approval_draft_ok

else := approval_draft_explained

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
