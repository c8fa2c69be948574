# Legal ground (owner: legal)
#
# The ground is complete, its template is known in this version and in force, and the template covers the act, its
# class of data, the basis and the jurisdiction. Approvals are the business of atb.approval.

package atb

# METADATA
# title: The ground holds
leg_ok if {
	leg := input.poa.leg
	form := data.leg_templates[leg.template.id]
	form.version == leg.template.version
	form.basis == leg.basis
	leg.basis in ["LI", "CONTRACT", "CONSENT", "LEGAL", "VITAL", "PUBLIC_TASK"]
	leg.jurisdiction in form.jurisdictions
	texts := [leg.ref, leg.description, leg.accountable_party.type, leg.accountable_party.id, leg.template.digest]
	concat("", texts) != ""
	not "" in texts
	act_covers(form.acts)
	leg_class_covered(form)
	leg_in_force(form)
	leg_kept(form)
	leg_grounded(leg)
}

# METADATA
# title: The template's classes of data hold the act's
leg_class_covered(form) if act_entry.data_class in form.data_classes

# METADATA
# title: What a basis asks beside the common members
# description: Consent names the purpose, and the person by a keyed commitment, never in clear.
leg_grounded(leg) if leg.basis != "CONSENT"

else if {
	is_string(leg.purpose)
	leg.purpose != ""
	leg_committed(leg.data_subject)
}

# METADATA
# title: A keyed commitment
# description: "`hmac-sha-256:<key>:<MAC>`: 16 and 64 lower-case hexadecimal digits."
leg_committed(text) if {
	is_string(text)
	parts := split(text, ":")
	count(parts) == 3
	parts[0] == "hmac-sha-256"
	count(parts[1]) == 16
	count(parts[2]) == 64
	trim(concat("", [parts[1], parts[2]]), "0123456789abcdef") == ""
}

# METADATA
# title: A template is not withdrawn, or its day of withdrawal is to come
leg_kept(form) if not form.withdrawn

else if {
	input.time > 0
	input.time < 9000000000
	time.format(input.time * 1000000000) < form.withdrawn
}

# METADATA
# title: A template is in force from the start of its first day to the end of its last, in UTC
# description: ISO dates compare as text; "T24" sorts after every time of the day.
leg_in_force(form) if {
	input.time > 0
	input.time < 9000000000
	now := time.format(input.time * 1000000000)
	now >= form.valid_from
	now < concat("", [form.valid_until, "T24"])
}

# METADATA
# title: What is wrong with the ground, looked at on denial only
# custom:
#   fast_path: true
leg_findings := set() if leg_ok

else := leg_explained

# METADATA
# title: Every reason against the ground
# custom:
#   owner: legal
#   controls: [GDPR Art. 6, GDPR Art. 5(1)(b)]
leg_explained := union({
	leg_incomplete,
	{["leg_incomplete", concat("/", ["/poa/leg", name])] |
		input.poa.leg.basis == "CONSENT"
		some name in ["data_subject", "purpose"]
		[1 |
			"" < input.poa.leg[name]
			input.poa.leg[name] < []
		] == []
	},
	{["leg_template_unknown", "/poa/leg/template/id"] |
		"" <= input.poa.leg.template.id
		input.poa.leg.template.id < []
		not leg_template
	},
	{["leg_template_version", "/poa/leg/template/version"] |
		version := leg_template.version
		version != input.poa.leg.template.version
	},
	{["leg_template_scope", "/poa/leg/template/id"] |
		patterns := leg_template.acts
		act_entry
		not act_covers(patterns)
	},
	{["leg_template_scope", "/poa/leg/template/id"] |
		form := leg_template
		act_entry
		not leg_class_covered(form)
	},
	{["leg_template_expired", "/poa/leg/template/id"] |
		form := leg_template
		not leg_in_force(form)
		leg_kept(form)
	},
	{["leg_template_withdrawn", "/poa/leg/template/id"] |
		form := leg_template
		not leg_kept(form)
	},
	{["leg_data_subject_in_clear", "/poa/leg/data_subject"] |
		input.poa.leg.basis == "CONSENT"
		subject := input.poa.leg.data_subject
		"" < subject
		subject < []
		not leg_committed(subject)
	},
	{["leg_basis", "/poa/leg/basis"] |
		basis := input.poa.leg.basis
		not basis in ["LI", "CONTRACT", "CONSENT", "LEGAL", "VITAL", "PUBLIC_TASK"]
	},
	{["leg_basis", "/poa/leg/basis"] |
		basis := leg_template.basis
		basis != input.poa.leg.basis
	},
	{["leg_jurisdiction", "/poa/leg/jurisdiction"] |
		places := leg_template.jurisdictions
		place := input.poa.leg.jurisdiction
		not place in places
	},
})

# METADATA
# title: The template that the ground names, undefined when it is not known
leg_template := data.leg_templates[input.poa.leg.template.id]

# METADATA
# title: Members of the ground that are missing, empty or no text
leg_incomplete := union({
	{["leg_incomplete", concat("/", ["/poa/leg", name])] |
		some name in ["jurisdiction", "basis", "ref", "description"]
		[1 |
			"" < input.poa.leg[name]
			input.poa.leg[name] < []
		] == []
	},
	{["leg_incomplete", concat("/", ["/poa/leg/accountable_party", name])] |
		some name in ["type", "id"]
		[1 |
			"" < input.poa.leg.accountable_party[name]
			input.poa.leg.accountable_party[name] < []
		] == []
	},
	{["leg_incomplete", concat("/", ["/poa/leg/template", name])] |
		some name in ["id", "version", "digest"]
		[1 |
			"" < input.poa.leg.template[name]
			input.poa.leg.template[name] < []
		] == []
	},
})
