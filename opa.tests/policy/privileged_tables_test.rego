# Tables with many rows about `privileged.rego`. The pipeline and the mutation tool run them; an activation does not.
package atb_test

with_ticket := put(draft_medium, "/poa/leg/ticket", {"system": "jira", "ref": "SEC-1"})

test_privileged_draft_table if every row in [
	["EUR", 2, true], [{"eq": "EUR"}, 2, true], [{"eq": "USD"}, 1, false], [{"in": ["USD", "EUR"]}, 2, true], ["USD", 1, false], [{"in": ["USD"]}, 1, false], [{"max_length": 3}, 1, false],
] {
	there := changed({"catalogue": {"erp.order.create": {"privileged": {"currency": ["EUR"]}}}})
	answer := ask("draft", put(with_ticket, "/poa/con/currency", row[0]), there)
	answer.allow == true
	answer.requirement.required == row[1]
	answer.requirement.ticket == row[2]
}
