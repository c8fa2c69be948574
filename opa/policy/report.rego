# Decision documents (owner: broker)
#
# Turns findings into the one document that every caller reads. The table of reasons, their order of priority and
# their texts are data (`data.reasons`).

package atb

# METADATA
# title: A denial
# description: >-
#   The first finding in the order of priority gives the reason; all of them are listed. Undefined where there is none.
#   `missing` names what would have to come: what the reasons say, and the classes of roles that nobody holds yet.
report_denial(entry, found) := {
	"allow": false,
	"reason": first[1],
	"tier": object.get(entry, "tier", null),
	"missing": sort({reasons[row[1]].missing | some row in rows} | {class |
		"role_missing" in codes
		some class, _ in approval_roles_missing
	}),
	"obligations": [],
	"violations": [{"rule": row[1], "pointer": row[2], "detail": reasons[row[1]].detail} | some row in rows],
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
	"violations": [{"rule": "policy_undefined", "pointer": "", "detail": data.reasons.policy_undefined.detail}],
}

# METADATA
# title: A permission
# description: >-
#   In phase issue, `missing` names what must still come before a mandate is made. Answers that carry personal data
#   are not written to logs.
report_permit(entry, missing) := {
	"allow": true,
	"reason": "ok",
	"tier": entry.tier,
	"missing": missing,
	"obligations": [{"type": "redact_response_log"} | entry.data_class in ["personal", "sensitive"]],
	"violations": [],
}
