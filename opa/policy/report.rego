# Decision documents (owner: broker)
#
# Turns findings into the one document that every caller reads. The table of reasons, their order of priority and
# their texts are data (`data.reasons`).

package atb

# METADATA
# title: A denial
# description: >-
#   The first finding in the order of priority gives the reason; all of them are listed. Undefined where there is none.
#   `missing` names what would have to come: what the reasons say, the classes of roles that nobody holds yet, and what
#   nobody has attested.
report_denial(entry, found, shown) := {
	"allow": false,
	"reason": first[1],
	"tier": object.get(entry, "tier", null),
	"missing": sort((({reasons[row[1]].missing | some row in rows} | {class |
		"role_missing" in codes
		some class, _ in approval_roles_missing
	}) | {concat(":", ["attestation", name]) |
		"attestation_missing" in codes
		some name in attestation_lacking
	})),
	"obligations": [],
	"matched": shown.matched,
	"violations": [{"rule": row[1], "pointer": row[2], "detail": reasons[row[1]].detail} | some row in rows],
	"risk": shown.risk,
} if {
	reasons := data.reasons
	rows := sort([[reasons[one[0]].rank, one[0], one[1]] | some one in found])
	codes := {row[1] | some row in rows}
	first := rows[0]
}

# METADATA
# title: A denial that no rule can explain; never expected
report_undefined := {
	"allow": false,
	"reason": "policy_undefined",
	"tier": act_tier,
	"missing": [],
	"obligations": [],
	"matched": report_shown.matched,
	"violations": [{"rule": "policy_undefined", "pointer": "", "detail": data.reasons.policy_undefined.detail}],
	"risk": report_shown.risk,
}

# METADATA
# title: What every answer shows
report_shown := {"matched": local_matched, "risk": risk_document}

# METADATA
# title: A permission
# description: >-
#   In phase issue, `missing` names what must still come before a mandate is made. Answers that carry personal data
#   are not written to logs.
report_permit(entry, missing, shown) := {
	"allow": true,
	"reason": "ok",
	"tier": entry.tier,
	"missing": missing,
	"obligations": [{"type": "redact_response_log"} | entry.data_class in ["personal", "sensitive"]],
	"matched": shown.matched,
	"violations": [],
	"risk": shown.risk,
}

# METADATA
# title: What an answer shows where nothing but the base is asked
# description: Undefined for a template that is not known; then `report_shown` says the same at length.
# custom:
#   fast_path: true
report_brief(entry) := {
	"matched": [
		concat(":", ["act", p.act]),
		tier.factor,
		concat("", ["template:", id, "@", form.version]),
		concat(":", ["workspace", input.workspace]),
		place.factor,
	],
	"risk": {
		"score": ((tier.points + class.points) + undone.points) + place.points,
		"contributions": [tier, class, undone, place],
	},
} if {
	p := input.poa
	id := p.leg.template.id
	templates := data.leg_templates
	form := templates[id]
	base := data.risk.base
	tier := base.tier[entry.tier]
	class := base.data_class[entry.data_class]
	undone := base.reversibility[entry.reversibility]
	place := base.environment[input.environment]
}

# METADATA
# title: What an answer shows
# description: >-
#   `gates` are the one for limits and the one for what overlays and risk ask: behind both, what is at hand is enough.
# custom:
#   fast_path: true
report_shows(gates, entry) := shown if {
	not set() in gates
	shown := report_brief(entry)
} else := {"matched": brief.matched, "risk": {
	"score": min([100, brief.risk.score + sum([one.points | some one in close])]),
	"contributions": array.concat(brief.risk.contributions, close),
}} if {
	gates[1] != set()
	brief := report_brief(entry)
	close := risk_close_to_limits
} else := report_shown
