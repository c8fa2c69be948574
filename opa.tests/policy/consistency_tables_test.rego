# Gates, findings and long forms held against each other over many inputs. The pipeline and the mutation tool run them;
# an activation does not.
package atb_test

same_on_every_way(question, doc) if same_ways(anywhere(question, doc), doc)

each_change(rows) := [put(row[0], row[1], value) | some row in rows; some value in row[2]]

# One world for all of them: to replace its documents costs more than to decide.
agree(question, docs) if {
	there := world
	disagreeing := [doc | some doc in docs; not same_on_every_way(question, doc)] with data.agents as there.agents
		with data.approvers as there.approvers
		with data.roles as there.roles
		with data.tiers as there.tiers
		with data.catalogue as there.catalogue
		with data.leg_templates as there.leg_templates
		with data.workspaces as there.workspaces
		with data.environments as there.environments
	disagreeing == []
}

test_consistency_of_holder_and_time if agree("ways of a call", each_change([
	[low, "/phase", ["issue"]],
	[low, "/poa/tier", ["medium"]],
	[low, "/agent/id", ["x"]],
	[low, "/workspace", ["other", 5]],
	[low, "/approvals", [{}]],
	[low, "/requires_dual_control", [0, []]],
	[low, "/time", [0, true, "1790000000", 1789999994, 1790000055]],
	[low, "/poa/nbf", [-1, 0, true]],
	[low, "/poa/iat", [-1, 1789999754, 1790000055, true]],
	[low, "/poa/exp", [9000000000, true, 1790000296]],
	[low, "/request/act", ["erp.order.create"]],
	[high, "/request/method", ["x"]],
]))

test_consistency_of_parameters_and_constraints if agree("ways of a call", each_change([
	[medium, "/request/params/quantity", [8001, 9007199254740991, -9007199254740991, -9007199254740992]],
	[medium, "/poa/con/amount", [{"eq": 120.5}, {"max": 120.5}, {"max": true}, {"max": 50001}, {"in": [120.5]}, {"max": 500, "min": 1}]],
	[medium, "/poa/con/currency", [{"eq": "EUR"}, {"max_length": 3}]],
	[low, "/poa/con", [{"vendor_id": ["V-1001"]}, null]],
	[low, "/request/params", [{}, null, {"vendor_id": 5}, {"vendor_id": "V-1001", "more": 1}]],
	[medium, "/request/params/amount", [500.01, 50001]],
]))

test_consistency_of_the_ground if agree("ways of a call", each_change([
	[low, "/poa/leg/basis", ["LI"]],
	[low, "/poa/leg/jurisdiction", ["XX"]],
	[low, "/poa/leg/template/version", ["2.0.0"]],
	[low, "/poa/leg/template/id", ["consent", "gift"]],
	[consented, "/poa/leg/purpose", ["", 5]],
	[consented, "/poa/leg/data_subject", ["person-7", 5]],
	[low, "/poa/leg/description", ["", 5]],
	[low, "/poa/leg/accountable_party/type", ["", 5]],
	[low, "/poa/leg/template/digest", ["", 5]],
	[low, "/time", [9000000000]],
]))

test_consistency_of_approvals if agree("ways of a call", array.concat(
	[signed(row[0], row[1]) | some row in [[low, ["alice"]], [low, ["alice", "bob"]], [medium, []], [critical, ["alice"]], [high, ["alice", "bob", "carol"]]]],
	each_change([
		[low, "/poa/leg/dual_control", [{}, {"required": true, "approvers": []}]],
		[medium, "/poa/leg/approval", [{}, null]],
		[medium, "/poa/leg/accountable_party/id", ["alice", approver("alice")]],
		[high, "/poa/leg/accountable_party/id", [approver("alice")]],
		[critical, "/poa/leg/ticket/system", ["", 5]],
		[critical, "/poa/leg/ticket/ref", [5]],
	]),
))

test_consistency_of_drafts if agree("ways of a draft", each_change([
	[draft_low, "/poa/ttl", [1, 0]],
	[draft_low, "/time", [1, 0, 9000000000, "now"]],
	[draft_low, "/approvals", [null, medium.approvals]],
	[draft_low, "/request", [null, [], low.request, medium.request]],
	[draft_low, "/poa/req", [null, high.poa.req]],
	[draft_low, "/workspace", ["other"]],
	[draft_high, "/poa/req", [null, "x"]],
	[draft_high, "/request/params/payment_limit", [200001, "5"]],
	[draft_medium, "/poa/con/amount", [1, {"max": 40001}, {"max": true}, {"min": 5}, {"in": [5]}]],
	[draft_medium, "/poa/con/item", [5, {"max": 5}, {"max_length": 5}, []]],
	[draft_low, "/poa/leg/basis", ["LI", "CONSENT"]],
	[draft_low, "/poa/leg/jurisdiction", ["XX"]],
	[draft_low, "/poa/leg/template/version", ["2.0.0"]],
	[draft_low, "/poa/leg/template/id", ["consent"]],
	[draft_low, "/poa/leg/ref", ["", 5]],
	[draft_low, "/poa/leg/description", ["", 5]],
	[draft_low, "/poa/leg/accountable_party/id", ["", 5]],
	[draft_low, "/poa/leg/accountable_party/type", [5]],
	[draft_low, "/poa/leg/template/digest", [5]],
	[draft_medium, "/poa/leg/approval", [{}, null]],
	[draft_medium, "/poa/leg/dual_control", [{}, null]],
	[draft_critical, "/poa/leg/ticket", [{"system": "", "ref": "x"}, {"system": "jira", "ref": 5}]],
]))

# With every gate closed a decision rests on findings and long forms alone, and must be the same.
test_consistency_of_closed_gates if every doc in [low, medium, critical] {
	ask({"gates": every_gate_closed}, doc, world) == call(doc)
}

test_consistency_of_closed_gates_of_a_draft if every doc in [draft_low, draft_medium, draft_critical] {
	ask({"draft_gates": every_gate_closed}, doc, world) == draft(doc)
}

# Each long form alone keeps a call out where the findings say nothing.
test_consistency_long_forms_deny_by_themselves if every row in [
	[0, put(high, "/phase", "issue")], [1, put(high, "/time", 1)], [2, drop(high, "/request/params/iban")],
	[3, put(high, "/poa/con/vendor_id", "V-1")], [4, put(high, "/request/params/payment_limit", 250001)], [5, drop(high, "/poa/leg/ref")],
	[6, put(high, "/approvals", [])], [7, drop(critical, "/poa/leg/ticket")], [8, put(high, "/request/path", "x")],
] {
	gates := [gate | some i in numbers.range(0, 9); gate := {1 | i != row[0]}]
	answer := ask({"gates": gates}, row[1], world) with data.reasons as {"policy_undefined": data.reasons.policy_undefined}
	[answer.allow, answer.reason] == [false, "policy_undefined"]
}
