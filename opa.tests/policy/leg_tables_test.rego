# Tables with many rows about `leg.rego`. The pipeline and the mutation tool run them; an activation does not.
package atb_test

test_leg_hostile_jurisdiction if denied_each([put(low, "/poa/leg/jurisdiction", value) | some value in [null, "", 5, [], {}]], "leg_incomplete")

test_leg_hostile_basis if denied_each([put(low, "/poa/leg/basis", value) | some value in [null, "", 5, [], {}]], "leg_incomplete")

test_leg_data_subject_in_clear if every value in [
	"person-7",
	"hmac-sha-256:0123456789abcdef:person-7",
	concat("", [commitment, ":x"]),
	upper(commitment),
	replace(commitment, "hmac-sha-256", "sha-256"),
	replace(commitment, "ba7816bf", "zoe@exam"),
	replace(commitment, "7816bf8f", "zoe@exam"),
] {
	doc := put(consented, "/poa/leg/data_subject", value)
	denied(doc, "leg_data_subject_in_clear")
}

test_leg_data_subject_hostile if denied_each([put(consented, "/poa/leg/data_subject", value) | some value in [null, "", 5, [], {}]], "leg_incomplete")

# The ground by its reason, on every way: members that are missing or of another type, and templates that do not fit.
test_leg_members_table if decided(world, [[put(low, path, value), "leg_incomplete"] |
	some path in [
		"/poa/leg/ref", "/poa/leg/description", "/poa/leg/accountable_party/type", "/poa/leg/accountable_party/id",
		"/poa/leg/template/digest", "/poa/leg/template/id", "/poa/leg/template/version", "/poa/leg/jurisdiction", "/poa/leg/basis",
	]
	some value in ["", 5, null, [], {}]
])

test_leg_template_table if every row in [
	[{"acts": ["erp.*"]}, "ok"], [{"acts": ["*"]}, "ok"], [{"acts": ["erp.vendor.*"]}, "ok"], [{"acts": ["erp.vendor.read"]}, "ok"], [{"acts": ["crm.*"]}, "leg_template_scope"],
	[{"data_classes": ["internal"]}, "ok"], [{"data_classes": ["public", "personal"]}, "leg_template_scope"],
	[{"basis": "LI"}, "leg_basis"], [{"version": "1.0.1"}, "leg_template_version"], [{"jurisdictions": ["DE"]}, "leg_jurisdiction"],
	[{"valid_until": "2026-09-20"}, "leg_template_expired"], [{"valid_until": "2026-09-21"}, "ok"], [{"valid_until": "2026-09-22"}, "ok"],
	[{"valid_from": "2026-09-22"}, "leg_template_expired"], [{"valid_from": "2026-09-21"}, "ok"], [{"valid_from": "2026-09-20"}, "ok"],
	[{"withdrawn": "2026-09-21"}, "leg_template_withdrawn"], [{"withdrawn": "2026-09-22"}, "ok"], [{"withdrawn": "0001-01-01"}, "leg_template_withdrawn"],
] {
	decided(contract(row[0]), [[low, row[1]]])
	drafted(contract(row[0]), [[draft_low, row[1]]])
}

# The last day of a template is judged at length.
test_leg_each_basis_on_the_last_day if every basis in ["LI", "CONTRACT", "LEGAL", "VITAL", "PUBLIC_TASK"] {
	decided(contract({"basis": basis, "valid_until": today}), [[put(low, "/poa/leg/basis", basis), "ok"]])
	decided(contract({"basis": "GUT", "valid_until": today}), [[put(low, "/poa/leg/basis", "GUT"), "leg_basis"]])
	said(call_in(contract({"basis": basis, "valid_until": "2026-09-20"}), put(low, "/poa/leg/basis", basis))) == {"leg_template_expired /poa/leg/template/id"}
}

test_leg_consent_table if decided(world, array.concat(
	[[consented, "ok"], [put(consented, "/poa/leg/data_subject", "person-7"), "leg_data_subject_in_clear"]],
	[[put(consented, path, value), "leg_incomplete"] | some path in ["/poa/leg/data_subject", "/poa/leg/purpose"]; some value in ["", 5, null, [], {}, true]],
))

# Both ends of a template's days, in seconds, and times at which no template is in force.
test_leg_in_force_by_the_second_table if every row in [
	["2026-09-21T00:00:00Z", set()], ["2026-09-20T23:59:59Z", {"leg_template_expired /poa/leg/template/id"}], ["2026-09-21T23:59:59Z", set()], ["2026-09-22T00:00:00Z", {"leg_template_expired /poa/leg/template/id"}],
] {
	now := seconds(row[0])
	there := contract({"valid_from": "2026-09-21", "valid_until": "2026-09-21"})
	doc := timed(now, [now, now, now + 60])
	said(call_in(there, doc)) == row[1]
}

ever := {"valid_from": "0001-01-01", "valid_until": "9999-12-31"}

test_leg_no_time_table if every row in [
	[ever, put(low, "/time", 1), {"mandate_time /poa/nbf"}],
	[ever, put(low, "/time", 0), {"leg_template_expired /poa/leg/template/id", "mandate_time /poa/nbf"}],
	[ever, put(low, "/time", -1), {"leg_template_expired /poa/leg/template/id", "mandate_time /poa/nbf"}],
	[ever, put(low, "/time", 8999999999), {"mandate_time /poa/exp"}],
	[ever, put(low, "/time", 9000000000), {"leg_template_expired /poa/leg/template/id", "mandate_time /poa/exp"}],
	[object.union(ever, {"withdrawn": "9998-12-31"}), put(low, "/time", 1), {"mandate_time /poa/nbf"}],
	[object.union(ever, {"withdrawn": "9998-12-31"}), put(low, "/time", 0), {"leg_template_withdrawn /poa/leg/template/id", "mandate_time /poa/nbf"}],
	[object.union(ever, {"withdrawn": "9998-12-31"}), put(low, "/time", 8999999999), {"mandate_time /poa/exp"}],
	[object.union(ever, {"withdrawn": "9998-12-31"}), put(low, "/time", 9000000000), {"leg_template_withdrawn /poa/leg/template/id", "mandate_time /poa/exp"}],
	[object.union(ever, {"withdrawn": "9998-12-31"}), put(low, "/time", "now"), {"input_malformed /time", "leg_template_withdrawn /poa/leg/template/id", "mandate_time /poa/exp"}],
] {
	said(call_in(contract(row[0]), row[1])) == row[2]
}

test_leg_says_what_is_wrong_and_where if every row in [
	[world, put(low, "/poa/leg", 5), {"leg_incomplete /poa/leg/accountable_party/id", "leg_incomplete /poa/leg/accountable_party/type", "leg_incomplete /poa/leg/basis", "leg_incomplete /poa/leg/description", "leg_incomplete /poa/leg/jurisdiction", "leg_incomplete /poa/leg/ref", "leg_incomplete /poa/leg/template/digest", "leg_incomplete /poa/leg/template/id", "leg_incomplete /poa/leg/template/version"}],
	[world, put(low, "/poa/leg/template", "contract"), {"leg_incomplete /poa/leg/template/digest", "leg_incomplete /poa/leg/template/id", "leg_incomplete /poa/leg/template/version"}],
	[world, put(low, "/poa/leg/accountable_party", ["frank"]), {"leg_incomplete /poa/leg/accountable_party/id", "leg_incomplete /poa/leg/accountable_party/type"}],
	[world, put(low, "/poa/leg/template/id", 5), {"leg_incomplete /poa/leg/template/id"}],
	[world, put(low, "/poa/leg/template/id", ""), {"leg_incomplete /poa/leg/template/id", "leg_template_unknown /poa/leg/template/id"}],
	[world, put(low, "/poa/leg/template/id", "gift"), {"leg_template_unknown /poa/leg/template/id"}],
	[world, put(low, "/poa/leg/template/id", []), {"leg_incomplete /poa/leg/template/id"}],
	[world, drop(low, "/poa/leg/template/version"), {"leg_incomplete /poa/leg/template/version"}],
	[world, put(low, "/poa/leg/template/version", []), {"leg_incomplete /poa/leg/template/version", "leg_template_version /poa/leg/template/version"}],
	[world, put(low, "/poa/leg/template/version", "2"), {"leg_template_version /poa/leg/template/version"}],
	[world, put(low, "/poa/leg/ref", []), {"leg_incomplete /poa/leg/ref"}],
	[world, put(low, "/poa/leg/description", true), {"leg_incomplete /poa/leg/description"}],
	[world, put(low, "/poa/leg/basis", []), {"leg_basis /poa/leg/basis", "leg_incomplete /poa/leg/basis"}],
	[world, put(low, "/poa/leg/basis", "GUT"), {"leg_basis /poa/leg/basis"}],
	[world, put(low, "/poa/leg/jurisdiction", "XX"), {"leg_jurisdiction /poa/leg/jurisdiction"}],
	[world, drop(low, "/poa/leg/jurisdiction"), {"leg_incomplete /poa/leg/jurisdiction"}],
	[world, put(low, "/poa/leg/template/id", "consent"), {"leg_basis /poa/leg/basis", "leg_template_scope /poa/leg/template/id"}],
	[world, consent, {"leg_incomplete /poa/leg/data_subject", "leg_incomplete /poa/leg/purpose"}],
	[world, put(consented, "/poa/leg/data_subject", []), {"leg_incomplete /poa/leg/data_subject"}],
	[world, put(consented, "/poa/leg/data_subject", ""), {"leg_incomplete /poa/leg/data_subject"}],
	[world, put(consented, "/poa/leg/data_subject", "zoe"), {"leg_data_subject_in_clear /poa/leg/data_subject"}],
	[world, put(consented, "/poa/leg/purpose", []), {"leg_incomplete /poa/leg/purpose"}],
	[world, put(consented, "/poa/leg/ref", ""), {"leg_incomplete /poa/leg/ref"}],
	[contract({"acts": ["crm.*"], "data_classes": ["public"], "version": "3", "basis": "LI", "jurisdictions": ["FR"], "valid_until": "2026-01-02"}), low, {"leg_basis /poa/leg/basis", "leg_jurisdiction /poa/leg/jurisdiction", "leg_template_expired /poa/leg/template/id", "leg_template_scope /poa/leg/template/id", "leg_template_version /poa/leg/template/version"}],
	[contract({"acts": ["crm.*"], "data_classes": ["public"], "withdrawn": "2026-01-02"}), unknown_act(low), {"act_mismatch /request/act", "leg_template_withdrawn /poa/leg/template/id", "unknown_act /poa/act"}],
	[world, put(unknown_act(low), "/poa/leg/template/id", "gift"), {"act_mismatch /request/act", "leg_template_unknown /poa/leg/template/id", "unknown_act /poa/act"}],
] {
	said(call_in(row[0], row[1])) == row[2]
}

test_leg_begins_and_goes_on_by_the_second if every row in [
	["2026-09-20T23:59:59Z", "leg_template_expired"], ["2026-09-21T00:00:00Z", "ok"], ["2026-10-08T23:59:59Z", "ok"], ["2026-10-09T00:00:00Z", "ok"],
	["2026-10-09T23:59:59Z", "ok"], ["2026-10-10T00:00:00Z", "leg_template_expired"],
] {
	now := seconds(row[0])
	there := contract({"valid_from": "2026-09-21", "valid_until": "2026-10-09"})
	decided(there, [[timed(now, [now, now, now + 60]), row[1]]])
	drafted(there, [[put(draft_low, "/time", now), row[1]]])
}
