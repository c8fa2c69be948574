package atb_test

sworn := changed({"catalogue": {"sap.vendor.change": {"attestations": {"called_back": "I called the vendor back", "four_eyes": "I compared both accounts"}}}})

attests(first, second) := put(high, "/approvals", [
	object.union(high.approvals[0], {"attestations": first}),
	object.union(high.approvals[1], {"attestations": second}),
])

test_attestation_of_one_who_does_not_count if {
	doc := put(attests(["called_back", "four_eyes"], []), "/poa/leg/accountable_party/id", "alice")
	decision := call_in(sworn, doc)
	"attestation_missing" in rules_of(decision)
}

test_attestation_in_a_constraint_or_a_parameter_is_none if {
	claimed := put(put(high, "/poa/con/reason", "called_back"), "/request/params/reason", "called_back")
	call_in(sworn, claimed).reason == "attestation_missing"
	doc := put(high, "/poa/con", {"called_back": true, "attestations": ["called_back", "four_eyes"]})
	call_in(sworn, doc).allow == false
}

# Named as a parameter of the act, so that nothing but the attestation is missing.
test_attestation_is_not_a_constraint_of_its_name if {
	asked := changed({"catalogue": {"sap.vendor.change": {"attestations": {"reason": "I know the reason"}}}})
	decision := call_in(asked, put(put(high, "/poa/con/reason", "moved"), "/request/params/reason", "moved"))
	decision.missing == ["attestation:reason"]
	{one.rule | some one in decision.violations} == {"attestation_missing"}
}

test_attestation_keeps_an_assessment_open if {
	ask("assessment", drop(high, "/poa/leg/dual_control"), sworn).met == false
	ask("assessment", drop(attests(["called_back"], ["four_eyes"]), "/poa/leg/dual_control"), sworn).met == true
}

test_attestation_is_outstanding_for_a_draft if ask("draft", draft_high, sworn).missing == ["approval", "attestation:called_back", "attestation:four_eyes"]

test_attestation_of_an_act_that_needs_nobody if call_in(changed({"catalogue": {"erp.vendor.read": {"attestations": {"seen": "I saw it"}}}}), low).reason == "attestation_missing"
