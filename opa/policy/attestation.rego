# Attestations (owner: legal)
#
# An act may ask that somebody attests a sentence. It counts when an approver who counts has signed it; a constraint or
# a parameter of that name is not an attestation.

package atb

# METADATA
# title: Attestations that nobody who counts has given
# custom:
#   owner: legal
#   controls: [GDPR Art. 5(2), NIST AI RMF MAP 3.5]
attestation_lacking := {name |
	some name, _ in act_entry.attestations
	not name in attestation_given
}

# METADATA
# title: What the approvers who count have attested
attestation_given := {name |
	some i, one in approval_given
	i in approval_counts
	is_array(one.attestations)
	some name in one.attestations
}

# METADATA
# title: What is wrong, looked at on denial only
attestation_explained := {["attestation_missing", "/approvals"] | attestation_lacking != set()}
