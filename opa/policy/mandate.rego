# Mandate (owner: broker)
#
# Holder, workspace, tier, time and binding to one call. `same_*`, `in_time` and `bound` are the short way that an
# allowed call takes; `explained` is looked at on denial only and says what is wrong and where.

package atb

# METADATA
# title: The mandate is held by the caller and names the catalogue's tier
mandate_sound if {
	p := input.poa
	is_string(p.sub)
	p.sub == input.agent.id
	p.tier == act_entry.tier
	act_grade
	is_number(input.time)
	is_boolean(input.requires_dual_control)
	is_array(input.approvals)
	is_string(input.workspace)
	object.get(object.get(data.agents, p.sub, {}), "workspace", input.workspace) == input.workspace
}

# METADATA
# title: The mandate is in force at input.time and does not outlive its cap
# description: Every number stands between two numbers, so none is of another type.
mandate_in_time if {
	p := input.poa
	input.time >= p.nbf
	input.time < p.exp
	p.exp < 9000000000
	p.nbf >= 0
	p.iat >= 0
	p.iat < p.exp
	p.exp - p.iat <= act_cap
}

# METADATA
# title: The lifetime that a draft asks for is within the cap
mandate_ttl_fits if {
	input.poa.ttl > 0
	input.poa.ttl <= act_cap
}

# METADATA
# title: The mandate is tied to this very call, or the act does not ask for that
mandate_bound if {
	req := input.poa.req
	{} <= req
	given := input.request
	is_string(req.digest)
	is_string(req.connector)
	is_string(req.method)
	is_string(req.path)
	req.digest == given.digest
	req.connector == given.connector
	req.method == given.method
	req.path == given.path
} else if {
	object.get(input.poa, "req", null) == null
	act_entry.bind_request == false
}

# METADATA
# title: The call is there and is the act that the mandate names
mandate_same_act if {
	input.poa.act == input.request.act
	is_string(input.poa.act)
	is_object(input.request.params)
}

# METADATA
# title: The asker named an exact call
# description: Always so in phase call; a matter of choice or of the act in phase issue.
mandate_called if object.get(input, "request", null) != null

# The rest is only evaluated for a denial. `doc`, `poa` and `request` are objects whatever arrives.
default mandate_doc := {}

mandate_doc := input if is_object(input)

# METADATA
# title: The mandate, empty where it is no object
default mandate_poa := {}

mandate_poa := mandate_doc.poa if is_object(mandate_doc.poa)

# METADATA
# title: The caller, empty where it is no object
default mandate_agent := {}

mandate_agent := mandate_doc.agent if is_object(mandate_doc.agent)

# METADATA
# title: Findings of both phases
# custom:
#   fast_path: true
mandate_findings := set() if {
	mandate_sound
	mandate_bound
} else := mandate_explained | mandate_unbound

# METADATA
# title: What is wrong with holder, workspace and tier
# description: One rule of comprehensions; a finding is `[reason, pointer]`. `[1 | …] == []` is a negation that also
#   holds where a member is missing.
mandate_explained := union({
	mandate_misshapen,
	{["unknown_act", "/poa/act"] | not act_grade},
	{["holder_mismatch", "/agent/id"] | [1 | input.poa.sub == input.agent.id] == []},
	{["workspace_mismatch", "/workspace"] |
		home := data.agents[input.poa.sub].workspace
		[1 | home == input.workspace] == []
	},
	{["tier_mismatch", "/poa/tier"] |
		tier := act_entry.tier
		[1 | tier == input.poa.tier] == []
	},
})

# METADATA
# title: What is wrong with the binding to one call
mandate_unbound := union({
	{["request_binding_required", "/poa/req"] |
		entry := act_entry
		[1 | entry.bind_request == false] == []
		[1 | input.poa.req != null] == []
	},
	{["request_mismatch", concat("/", ["/poa/req", name])] |
		req := input.poa.req
		{} <= req
		some name in ["connector", "method", "path", "digest"]
		[1 |
			req[name] == input.request[name]
			"" <= req[name]
			req[name] < []
		] == []
	},
	{["request_mismatch", "/poa/req"] |
		req := input.poa.req
		req != null
		req < {}
	},
})

# METADATA
# title: Members of the wrong type
# description: The first body is the short way where there is none; two comparisons say a type.
# custom:
#   fast_path: true
mandate_misshapen := set() if {
	p := input.poa
	"" <= p.sub
	p.sub < []
	"" <= p.act
	p.act < []
	"" <= input.agent.id
	input.agent.id < []
	"" <= input.workspace
	input.workspace < []
	true < input.time
	input.time < ""
	[] <= input.approvals
	input.approvals < {}
	false <= input.requires_dual_control
	input.requires_dual_control <= true
} else := {["input_malformed", row[0]] |
	some row in [
		["/poa", object.get(mandate_doc, "poa", null), "object"],
		["/poa/sub", object.get(mandate_poa, "sub", null), "string"],
		["/poa/act", object.get(mandate_poa, "act", null), "string"],
		["/agent/id", object.get(mandate_agent, "id", null), "string"],
		["/workspace", object.get(mandate_doc, "workspace", null), "string"],
		["/time", object.get(mandate_doc, "time", null), "number"],
		["/approvals", object.get(mandate_doc, "approvals", null), "array"],
		["/requires_dual_control", object.get(mandate_doc, "requires_dual_control", null), "boolean"],
	]
	type_name(row[1]) != row[2]
}

# METADATA
# title: Findings about the act of the call
# custom:
#   fast_path: true
mandate_act_findings := set() if mandate_same_act

else := mandate_act_explained

# METADATA
# title: What is wrong with the act of the call
# custom:
#   owner: broker
#   controls: [ISO 27001 A.5.15]
mandate_act_explained := union({
	{["input_malformed", "/request"] | [1 | {} <= input.request] == []},
	{["input_malformed", "/request/params"] | [1 | {} <= input.request.params] == []},
	{["act_mismatch", "/request/act"] | [1 | input.poa.act == input.request.act] == []},
})

# METADATA
# title: Findings about time
# description: The tests hold what `poa_answer` says about time against it; what is no time is among the members of the wrong type.
mandate_time_findings := {["mandate_time", "/poa"] |
	not mandate_in_time
	act_grade
}

# METADATA
# title: What is wrong with the lifetime of a draft
mandate_ttl_findings := set() if mandate_ttl_fits

else := {["input_malformed", "/poa/ttl"]} if type_name(object.get(mandate_poa, "ttl", null)) != "number"

else := {["input_malformed", "/poa/ttl"]} if mandate_poa.ttl <= 0

else := {["ttl_too_long", "/poa/ttl"]} if act_grade

else := set()
