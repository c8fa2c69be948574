# What is shipped beside the rules and decides as much as they do: tiers, classes of roles, workspaces and the list of low
# risk. All of it is an operator's to change, and a bundle is activated only where its own tests pass; so these tests are
# not in the bundle. They are run over a copy of it, as `.ci/run` does. Who changes one of the tables on purpose changes the
# row here; nobody changes one by accident.
package atb_test

test_shipped_tiers_ask_for if data.tiers == {
	"low": {"approvals": 0, "roles": {}, "delegable": true, "ticket": false, "challenge_seconds": 3600, "max_ttl_seconds": 300},
	"medium": {"approvals": 1, "roles": {}, "delegable": true, "ticket": false, "challenge_seconds": 3600, "max_ttl_seconds": 300},
	"high": {"approvals": 2, "roles": {}, "delegable": true, "ticket": false, "challenge_seconds": 3600, "max_ttl_seconds": 300},
	"critical": {"approvals": 2, "roles": {"executive": 1}, "delegable": false, "ticket": true, "challenge_seconds": 3600, "max_ttl_seconds": 300},
}

test_shipped_classes_of_roles if {class: {role | some role, held in members; held == true} | some class, members in data.roles} == {
	"executive": {"executive", "ceo", "cfo", "cio", "ciso", "coo", "cto", "managing_director"},
	"finance": {"finance", "controller", "treasurer", "cfo"},
}

test_shipped_workspaces_take_no_free_form_grounds if data.workspaces == {"default": {"free_form_leg": false}}

test_shipped_low_risk_list_reads_what_is_no_secret if {
	listed_acts := {act | some act, judged in data.low_risk_allowlist.acts; judged == true}
	listed_acts == {"erp.order.list", "erp.order.read", "erp.vendor.list", "erp.vendor.read", "inventory.stock.read"}
	every act in listed_acts {
		entry := data.catalogue[act]
		[entry.tier, entry.reversibility, entry.bind_request] == ["low", "read_only", false]
		entry.data_class in ["public", "internal"]
	}
}
