# Tables with many rows about `attestation.rego`. The pipeline and the mutation tool run them; an activation does not.
package atb_test

test_attestation_table if every row in [
	[attests(["called_back"], ["four_eyes"]), []],
	[attests(["called_back", "four_eyes"], []), []],
	[attests([], ["four_eyes", "called_back", "other"]), []],
	[attests(["called_back"], []), ["attestation:four_eyes"]],
	[attests("called_back", {"four_eyes": true}), ["attestation:called_back", "attestation:four_eyes"]],
	[attests({"a": "called_back"}, {"b": "four_eyes"}), ["attestation:called_back", "attestation:four_eyes"]],
	[attests(null, [["four_eyes"]]), ["attestation:called_back", "attestation:four_eyes"]],
	[high, ["attestation:called_back", "attestation:four_eyes"]],
] {
	decision := call_in(sworn, row[0])
	decision.missing == row[1]
	decision.reason in ({"ok" | row[1] == []} | {"attestation_missing" | row[1] != []})
}
