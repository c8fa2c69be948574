# Constraints and limits (owner: broker)
#
# One grammar for the mandate's `con` and the catalogue's `limits`: a scalar, or an object of `eq`, `in`, `min`,
# `max`, `min_length` and `max_length`. A limit may also have a `pattern`; a constraint may not, because a pattern that
# an agent writes is not evaluated. A constraint fails closed on an absent parameter and can only narrow the limit; a
# limit leaves an absent optional parameter alone.

package atb

# METADATA
# title: Form and values in one, the short way where there is neither constraint nor limit
# custom:
#   fast_path: true
constraints_ok if {
	input.poa.con == {}
	act_entry.limits == {}
} else if {
	constraints_formed
	constraints_kept
}

# METADATA
# title: The constraints are of known form, on known parameters and not wider than the limits
# custom:
#   fast_path: true
constraints_formed if input.poa.con == {}

else if {
	is_object(input.poa.con)
	props := act_entry.parameters.properties
	limits := object.get(act_entry, "limits", {})
	every name, con in input.poa.con {
		constraints_well_formed(constraints_operators(con), props[name].type)
		constraints_within(constraints_operators(con), constraints_operators(object.get(limits, name, {})))
	}
}

# METADATA
# title: The call keeps to the mandate's constraints and to the catalogue's limits
constraints_kept if {
	is_object(input.poa.con)
	params := input.request.params
	every name, con in input.poa.con { constraints_meets(constraints_operators(con), params[name]) }
	every name, limit in object.get(act_entry, "limits", {}) { constraints_spared(limit, params, name) }
}

# METADATA
# title: Operators of a constraint
# description: A scalar is short for eq.
constraints_operators(con) := con if is_object(con)

else := {"eq": con}

# METADATA
# title: Every operator passes
constraints_holds(ops, value) if {
	every op, bound in ops { constraints_passes(op, bound, value) }
}

# METADATA
# title: A constraint of a mandate on a value
# description: No pattern of it is evaluated, whatever it is.
constraints_meets(ops, value) if {
	not ops.pattern
	constraints_holds(ops, value)
}

# METADATA
# title: A limit is kept, or the optional parameter is absent
# description: The first body is the short way for an upper bound alone, whose type the loader has checked.
# custom:
#   fast_path: true
constraints_spared(limit, params, name) if {
	limit == {"max": limit.max}
	value := params[name]
	true < value
	value <= limit.max
} else if constraints_holds(constraints_operators(limit), params[name])

else if object.get(params, name, null) == null

# METADATA
# title: One operator on one value
# description: An unknown operator, a wrong type and an absent value all fail; a pattern is no match where either is no text.
constraints_passes("eq", bound, value) if value == bound

constraints_passes("in", bound, value) if value in bound

constraints_passes("min", bound, value) if {
	is_number(bound)
	is_number(value)
	value >= bound
}

constraints_passes("max", bound, value) if {
	is_number(bound)
	is_number(value)
	value <= bound
}

constraints_passes("max_length", bound, value) if {
	is_number(bound)
	constraints_sized(value)
	count(value) <= bound
}

constraints_passes("min_length", bound, value) if {
	is_number(bound)
	constraints_sized(value)
	count(value) >= bound
}

constraints_passes("pattern", bound, value) if {
	regex.match(bound, value)
}

# METADATA
# title: A value that has a length
constraints_sized(value) if is_string(value)

else if is_array(value)

# METADATA
# title: The closed set of operators and the types that each takes
constraints_well_formed(ops, type) if {
	ops != {}
	every op, bound in ops { constraints_known(op, bound, type) }
}

# METADATA
# title: One operator with its bound, for a type
constraints_known("eq", bound, type) if constraints_scalar(type, bound)

constraints_known("in", bound, type) if {
	is_array(bound)
	bound != []
	every value in bound { constraints_scalar(type, value) }
}

constraints_known("min", bound, type) if {
	type in ["number", "integer"]
	is_number(bound)
}

constraints_known("max", bound, type) if {
	type in ["number", "integer"]
	is_number(bound)
}

constraints_known(op, bound, type) if {
	op in ["max_length", "min_length"]
	type in ["string", "array"]
	is_number(bound)
	bound >= 0
}

# METADATA
# title: A bound is a scalar of the type
constraints_scalar("string", value) if is_string(value)

constraints_scalar("number", value) if is_number(value)

constraints_scalar("integer", value) if is_number(value)

constraints_scalar("boolean", value) if is_boolean(value)

# METADATA
# title: A constraint is not wider than the limit
# description: Both sides in operators; the constraint is well formed.
constraints_within(ops, limit) if {
	every op, bound in ops { constraints_narrows(op, bound, limit) }
}

# METADATA
# title: One operator is not wider than the limit
constraints_narrows("eq", bound, limit) if constraints_holds(limit, bound)

constraints_narrows("in", bound, limit) if {
	every value in bound { constraints_holds(limit, value) }
}

constraints_narrows("min", bound, limit) if bound >= object.get(limit, "min", bound)

constraints_narrows("max", bound, limit) if bound <= object.get(limit, "max", bound)

constraints_narrows("max_length", bound, limit) if bound <= object.get(limit, "max_length", bound)

constraints_narrows("min_length", bound, limit) if bound >= object.get(limit, "min_length", bound)

# METADATA
# title: What is wrong with the constraints, looked at on denial only
# custom:
#   fast_path: true
constraints_form_findings := set() if constraints_formed

else := constraints_form_explained

# METADATA
# title: What is wrong with the form of the constraints
# custom:
#   owner: broker
#   controls: [ISO 27001 A.5.15]
constraints_form_explained := union({
	{["constraint_invalid", "/poa/con"] |
		{} <= input.poa
		[1 | {} <= input.poa.con] == []
	},
	{["unknown_constraint", parameters_pointer("/poa/con", name)] |
		is_object(input.poa.con)
		props := act_entry.parameters.properties
		some name, _ in input.poa.con
		not props[name]
	},
	{[constraints_fault(con, kind), parameters_pointer("/poa/con", name)] |
		is_object(input.poa.con)
		props := act_entry.parameters.properties
		limits := act_entry.limits
		some name, con in input.poa.con
		kind := props[name].type
		limit := object.get(limits, name, {})
		not constraints_sits(con, kind, limit)
	},
})

# METADATA
# title: A constraint is of known form and within its limit
constraints_sits(con, type, limit) if {
	ops := constraints_operators(con)
	constraints_well_formed(ops, type)
	constraints_within(ops, constraints_operators(limit))
}

# METADATA
# title: Which of the two it is not
constraints_fault(con, type) := "constraint_exceeds_limit" if constraints_well_formed(constraints_operators(con), type)

else := "constraint_invalid"

# METADATA
# title: What is wrong with the values, looked at on denial only
# custom:
#   fast_path: true
constraints_kept_findings := set() if constraints_kept

else := constraints_kept_explained

# METADATA
# title: What is wrong with the values
# custom:
#   owner: broker
#   controls: [ISO 27001 A.5.15, ISO 27001 A.8.3]
constraints_kept_explained := constraints_broken | constraints_over

# METADATA
# title: Constraints of the mandate that the call breaks
constraints_broken := {["constraint_violated", parameters_pointer("/poa/con", name)] |
	is_object(input.poa.con)
	some name, con in input.poa.con
	not constraints_obeyed(con, name)
}

# METADATA
# title: Limits of the catalogue that the call breaks
constraints_over := {["limit_exceeded", parameters_pointer("/request/params", name)] |
	params := input.request.params
	is_object(params)
	some name, limit in act_entry.limits
	not constraints_spared(limit, params, name)
}

# METADATA
# title: The call keeps to one constraint
constraints_obeyed(con, name) if constraints_meets(constraints_operators(con), input.request.params[name])
