# Parameters (owner: broker)
#
# Holds the parameters of a call against the JSON Schema of the act in the catalogue: known, present, of the right type.

package atb

# METADATA
# title: Every parameter is known and of the right type, and none is missing
parameters_ok if {
	params := input.request.params
	is_object(params)
	schema := act_entry.parameters
	props := schema.properties
	every name in schema.required { params[name] != null }
	every name, value in params { parameters_typed(props[name].type, value) }
}

# METADATA
# title: The types of the schema
parameters_typed(type, value) if type_name(value) == type

else if {
	type == "integer"
	is_number(value)
	value >= -9007199254740991
	value <= 9007199254740991
	value == round(value)
}

# METADATA
# title: What is wrong, looked at on denial only
# custom:
#   fast_path: true
parameters_findings := set() if parameters_ok

else := parameters_explained

# METADATA
# title: A member name as part of a JSON Pointer
parameters_pointer(base, name) := concat("/", [base, replace(replace(name, "~", "~0"), "/", "~1")])

# METADATA
# title: Every parameter that is unknown, missing or of the wrong type
# custom:
#   owner: broker
#   controls: [ISO 27001 A.8.26]
parameters_explained := union({
	{["unknown_parameter", parameters_pointer("/request/params", name)] |
		{} <= input.request.params
		props := act_entry.parameters.properties
		some name, _ in input.request.params
		not props[name]
	},
	{["missing_parameter", parameters_pointer("/request/params", name)] |
		params := input.request.params
		{} <= params
		some name in act_entry.parameters.required
		[1 | params[name] != null] == []
	},
	{["parameter_type", parameters_pointer("/request/params", name)] |
		{} <= input.request.params
		props := act_entry.parameters.properties
		some name, value in input.request.params
		kind := props[name].type
		kind != type_name(value)
		not parameters_typed(kind, value)
	},
})
