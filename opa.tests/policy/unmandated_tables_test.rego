# Tables with many rows about `unmandated.rego`. The pipeline and the mutation tool run them; an activation does not.
package atb_test

malformed_rows := [
	["/phase", "issue"], ["/approvals", [{"id": "x"}]], ["/approvals", null], ["/requires_dual_control", true],
	["/agent/id", 5], ["/workspace", null], ["/time", "now"], ["/request/params", []], ["/environment", "moon"],
]

test_unmandated_malformed_table if {
	docs := [put(bare, row[0], row[1]) | some row in malformed_rows]
	found := [decision.violations[0].pointer | some decision in ask_each("call", docs, world)]
	found == [row[0] | some row in malformed_rows]
	denied_each(docs, "input_malformed")
}

test_unmandated_absent_table if {
	paths := ["/phase", "/approvals", "/requires_dual_control", "/agent/id", "/workspace", "/time", "/request/params"]
	docs := [drop(bare, path) | some path in paths]
	[decision.violations[0].pointer | some decision in ask_each("call", docs, world)] == paths
	denied_each(docs, "input_malformed")
}

test_unmandated_is_held_by_every_other_layer if every row in [
	[put(bare, "/workspace", "other"), world, "workspace_mismatch"],
	[put(bare, "/request/params", {}), world, "missing_parameter"],
	[put(bare, "/request/params", {"vendor_id": 5}), world, "parameter_type"],
	[bare, changed({"catalogue": {"erp.vendor.read": {"limits": {"vendor_id": {"max_length": 3}}}}}), "limit_exceeded"],
	[bare, bound_to({"authorities": ["sha-256:aa"]}), "platform_mismatch"],
	[bare, changed({"freezes": {"f": span({"from": "2026-09-01T00:00:00Z"})}}), "change_freeze"],
	[bare, limited({}), "rate_limited"],
	[bare, overlaid({"denied": ["erp.*"]}), "act_denied_here"],
	[bare, overlaid({"approvals": {"low": {"approvals": 1}}}), "unmandated_not_allowed"],
	[bare, overlaid({"risk_threshold": 0}), "unmandated_not_allowed"],
] {
	unmandated_reason(row[0], row[1]) == row[2]
}
