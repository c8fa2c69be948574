package atb_test

consent := put(put(put(put(put(medium, "/poa/leg/template/id", "consent"), "/poa/leg/basis", "CONSENT"), "/poa/act", "crm.contact.read"), "/poa/con", {}), "/request", {"connector": "crm", "method": "GET", "path": "/c", "act": "crm.contact.read", "params": {"contact_id": "C-1000"}, "digest": "d"})

consented := put(put(consent, "/poa/leg/data_subject", commitment), "/poa/leg/purpose", "newsletter")

commitment := "hmac-sha-256:0123456789abcdef:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

test_leg_absent_jurisdiction if denied(drop(low, "/poa/leg/jurisdiction"), "leg_incomplete")

test_leg_absent_basis if denied(drop(low, "/poa/leg/basis"), "leg_incomplete")

test_leg_absent_ref if denied(drop(low, "/poa/leg/ref"), "leg_incomplete")

test_leg_hostile_ref if denied_each([put(low, "/poa/leg/ref", value) | some value in [null, "", 5, [], {}]], "leg_incomplete")

test_leg_absent_description if denied(drop(low, "/poa/leg/description"), "leg_incomplete")

test_leg_hostile_description if denied_each([put(low, "/poa/leg/description", value) | some value in [null, "", 5, [], {}]], "leg_incomplete")

test_leg_absent_accountable_party if denied(drop(low, "/poa/leg/accountable_party"), "leg_incomplete")

test_leg_absent_accountable_party_type if denied(drop(low, "/poa/leg/accountable_party/type"), "leg_incomplete")

test_leg_absent_accountable_party_id if denied(drop(low, "/poa/leg/accountable_party/id"), "leg_incomplete")

test_leg_absent_template if denied(drop(low, "/poa/leg/template"), "leg_incomplete")

test_leg_absent_template_id if denied(drop(low, "/poa/leg/template/id"), "leg_incomplete")

test_leg_absent_template_version if denied(drop(low, "/poa/leg/template/version"), "leg_incomplete")

test_leg_absent_template_digest if denied(drop(low, "/poa/leg/template/digest"), "leg_incomplete")

test_leg_absent if denied(drop(low, "/poa/leg"), "leg_incomplete")

test_leg_array if denied(put(low, "/poa/leg", []), "leg_incomplete")

test_leg_template_as_text if denied(put(low, "/poa/leg/template", "contract@1.0.0"), "leg_incomplete")

test_leg_template_unknown if denied(put(low, "/poa/leg/template/id", "gift"), "leg_template_unknown")

test_leg_template_version if denied(put(low, "/poa/leg/template/version", "2.0.0"), "leg_template_version")

test_leg_template_scope if denied(put(low, "/poa/leg/template/id", "consent"), "leg_template_scope")

test_leg_basis_of_another_template if denied(put(low, "/poa/leg/basis", "LI"), "leg_basis")

test_leg_basis_unknown if denied(put(low, "/poa/leg/basis", "GUT"), "leg_basis")

test_leg_jurisdiction_unknown if denied(put(low, "/poa/leg/jurisdiction", "XX"), "leg_jurisdiction")

test_leg_jurisdiction_lower_case if denied(put(low, "/poa/leg/jurisdiction", "eu"), "leg_jurisdiction")

test_leg_jurisdiction_country if allowed(put(low, "/poa/leg/jurisdiction", "DE"))

test_leg_legitimate_interest if allowed(put(put(low, "/poa/leg/template/id", "legitimate-interest"), "/poa/leg/basis", "LI"))

test_leg_legal_obligation if allowed(put(put(low, "/poa/leg/template/id", "legal-obligation"), "/poa/leg/basis", "LEGAL"))

test_leg_consent if allowed(consented)

test_leg_consent_without_person if denied(drop(consented, "/poa/leg/data_subject"), "leg_incomplete")

test_leg_consent_without_purpose if denied(put(consented, "/poa/leg/purpose", ""), "leg_incomplete")

test_leg_consent_without_either if denied(consent, "leg_incomplete")

test_leg_in_force_last_day if {
	there := changed({"leg_templates": {"contract": {"valid_from": "2026-01-01", "valid_until": "2026-09-21"}}})
	call_in(there, low).reason == "ok"
}

test_leg_in_force_day_after if {
	there := changed({"leg_templates": {"contract": {"valid_from": "2026-01-01", "valid_until": "2026-09-20"}}})
	call_in(there, low).reason == "leg_template_expired"
}

test_leg_in_force_first_day if {
	there := changed({"leg_templates": {"contract": {"valid_from": "2026-09-21", "valid_until": "2099-12-31"}}})
	call_in(there, low).reason == "ok"
}

test_leg_in_force_day_before if {
	there := changed({"leg_templates": {"contract": {"valid_from": "2026-09-22", "valid_until": "2099-12-31"}}})
	call_in(there, low).reason == "leg_template_expired"
}

test_leg_template_without_classes if {
	there := drop(world, "/leg_templates/contract/data_classes")
	call_in(there, low).reason == "leg_template_scope"
}

test_leg_template_of_other_class if {
	there := changed({"leg_templates": {"contract": {"data_classes": ["public"]}}})
	call_in(there, low).reason == "leg_template_scope"
}

test_leg_template_without_dates if {
	there := drop(world, "/leg_templates/contract/valid_until")
	call_in(there, low).reason == "leg_template_expired"
}

# The shipped templates, whatever is in them: the gate of a call compares the basis with the template's only.
test_leg_templates_have_a_known_basis if every form in data.leg_templates {
	form.basis in ["LI", "CONTRACT", "CONSENT", "LEGAL", "VITAL", "PUBLIC_TASK"]
}

test_leg_withdrawn_from_its_day if every day in ["2026-01-01", "2026-09-20", "2026-09-21"] {
	there := changed({"leg_templates": {"contract": {"withdrawn": day, "withdrawn_reason": "wrong"}}})
	call_in(there, low).reason == "leg_template_withdrawn"
}

test_leg_not_yet_withdrawn if {
	there := changed({"leg_templates": {"contract": {"withdrawn": "2026-09-22", "withdrawn_reason": "wrong"}}})
	call_in(there, low).reason == "ok"
}

test_leg_withdrawn_says_more_than_expired if {
	there := changed({"leg_templates": {"contract": {"withdrawn": "2026-01-02", "valid_until": "2026-01-03"}}})
	call_in(there, low).reason == "leg_template_withdrawn"
}

test_leg_withdrawn_yields_no_mandate if {
	there := changed({"leg_templates": {"contract": {"withdrawn": "2026-09-21", "withdrawn_reason": "wrong"}}})
	ask("draft", draft_low, there).reason == "leg_template_withdrawn"
}

test_leg_commitment_table if every row in [
	[commitment, true], [concat("", [commitment, "0"]), false], [trim_suffix(commitment, "d"), false],
	[replace(commitment, ":0123", ":012g"), false], [replace(commitment, ":0123", ":012A"), false], [replace(commitment, ":0123", ":123"), false], [replace(commitment, ":0123", ":00123"), false], [concat("", ["x", commitment]), false], [5, false], ["", false],
] {
	count([1 | data.atb.leg_committed(row[0])]) == count([1 | row[1]])
}

test_leg_rare_bases if every basis in ["VITAL", "PUBLIC_TASK"] {
	form := object.union(data.leg_templates["legitimate-interest"], {"basis": basis})
	doc := put(put(low, "/poa/leg/template/id", "legitimate-interest"), "/poa/leg/basis", basis)
	data.atb.leg_ok with input as doc with data.leg_templates as {"legitimate-interest": form}
}

contract(members) := changed({"leg_templates": {"contract": members}})

test_leg_withdrawn_by_the_second_table if every row in [
	["2026-09-20T23:59:59Z", set()], ["2026-09-21T00:00:00Z", {"leg_template_withdrawn /poa/leg/template/id"}],
] {
	now := seconds(row[0])
	doc := timed(now, [now, now, now + 60])
	said(call_in(contract({"withdrawn": "2026-09-21"}), doc)) == row[1]
}

test_leg_of_a_draft_for_an_unknown_act_says_nothing_of_its_scope if every row in [
	[contract({"acts": ["crm.*"], "data_classes": ["public"]}), unknown_act(draft_low), {"unknown_act /poa/act"}],
] {
	said(ask("draft", row[1], row[0])) == row[2]
}
