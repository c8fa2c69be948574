# Privileged targets (owner: security)
#
# Some values of parameters make a common act a dangerous one: a role of an administrator, a production account. A call
# with such a value asks for the approvals and the ticket of the critical tier. A draft that names no call asks for them
# when its constraints name such a value; where they leave the parameter open, the call is held against it later.

package atb

# METADATA
# title: The parameters that carry a privileged value
# custom:
#   owner: security
#   controls: [ISO 27001 A.8.2, ISO 27001 A.5.18]
privileged_parameters := {name |
	some name, values in act_entry.privileged
	some value in privileged_values(name)
	value in values
}

# METADATA
# title: The values that a parameter has, or may have by the constraints where the call does not give it
privileged_values(name) := {value} | {one |
	is_array(value)
	some one in value
} if {
	value := input.request.params[name]
} else := ({con} | {one | one := con.eq}) | {one |
	is_array(con.in)
	some one in con.in
} if {
	con := input.poa.con[name]
}

# METADATA
# title: What a privileged target asks for
privileged_asked := [data.tiers.critical | privileged_parameters != set()]

# METADATA
# title: What a privileged target asks for beyond the act is not there
privileged_explained := {["privileged_target", parameters_pointer("/request/params", name)] |
	some name in privileged_parameters
	[1 |
		count(approval_counts) >= approval_usual
		approval_roles_missing == {}
		approval_ticketed
	] == []
}
