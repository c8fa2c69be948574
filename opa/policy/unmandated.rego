# Calls without a mandate (owner: security)
#
# Where the configuration lets the policy judge them, a call without a mandate is allowed for the acts on the list of low
# risk, and only under every other layer: parameters, limits, platform, time, rates, overlays, risk.

package atb

# METADATA
# title: There is no mandate and the configuration lets such calls be judged
unmandated if {
	input.unmandated == true
	input.poa == null
}

# METADATA
# title: The decision on a call without a mandate
unmandated_decision := denial if {
	denial := report_denial(act_listed, unmandated_explained, report_shown)
} else := report_permit(act_listed, [], report_shown) if {
	unmandated_explained == set()
	unmandated_listed
} else := report_undefined

# METADATA
# title: The act is on the list and asks for nobody and nothing
# custom:
#   owner: security
#   controls: [ISO 27001 A.5.15, NIST AI RMF GOVERN 1.3]
unmandated_listed if {
	data.low_risk_allowlist.acts[act_name] == true
	entry := act_entry
	[entry.tier, entry.reversibility, entry.bind_request] == ["low", "read_only", false]
	not entry.attestations
	approval_needed == 0
	approval_grade.ticket == false
}

# METADATA
# title: What is wrong with a call without a mandate
unmandated_explained := union({
	{["input_malformed", row[0]] |
		some row in [
			["/phase", object.get(input, "phase", null), ["call"]],
			["/approvals", object.get(input, "approvals", null), [[]]],
			["/requires_dual_control", object.get(input, "requires_dual_control", null), [false]],
			["/agent/id", type_name(object.get(mandate_agent, "id", null)), ["string"]],
			["/workspace", type_name(object.get(input, "workspace", null)), ["string"]],
			["/time", type_name(object.get(input, "time", null)), ["number"]],
			["/request/params", type_name(object.get(input, ["request", "params"], null)), ["object"]],
		]
		not row[1] in row[2]
	},
	{["unknown_act", "/request/act"] | not act_grade},
	{["unmandated_not_allowed", "/request/act"] |
		act_grade
		not unmandated_listed
	},
	{["workspace_mismatch", "/workspace"] |
		home := data.agents[input.agent.id].workspace
		[1 | home == input.workspace] == []
	},
	platform_explained,
	parameters_explained,
	constraints_over,
	local_explained,
})
