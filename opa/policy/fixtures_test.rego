# The world that the tests decide in, and inputs that are allowed there, one for each tier and phase; tests change one
# thing at a time.
package atb_test

# Catalogue, tiers, directory and templates of the tests. They stand in for the shipped ones, so whatever an operator
# makes of approvers, agents, roles, templates and acts, these tests are about the rules.
world := {
	"agents": {
		"spiffe://atb.dev/agent/procurement": {"operator": "dave", "workspace": "default"},
		"spiffe://atb.dev/agent/support": {"operator": "erin", "workspace": "default"},
	},
	"approvers": {
		"spiffe://atb.dev/approver/alice": {
			"person": "alice",
			"roles": ["manager", "finance"],
			"tiers": ["low", "medium", "high", "critical"],
			"acts": ["*"],
			"workspaces": ["default"],
		},
		"spiffe://atb.dev/approver/alice-mobile": {
			"person": "alice",
			"roles": ["manager", "finance"],
			"tiers": ["low", "medium", "high", "critical"],
			"acts": ["*"],
			"workspaces": ["default"],
		},
		"spiffe://atb.dev/approver/bob": {
			"person": "bob",
			"roles": ["compliance"],
			"tiers": ["low", "medium", "high", "critical"],
			"acts": ["*"],
			"workspaces": ["default"],
		},
		"spiffe://atb.dev/approver/carol": {
			"person": "carol",
			"roles": ["executive", "cfo"],
			"tiers": ["low", "medium", "high", "critical"],
			"acts": ["*"],
			"workspaces": ["default"],
		},
	},
	"roles": {"executive": {"cfo": true, "executive": true}, "finance": {"finance": true}},
	"tiers": {
		"low": {"approvals": 0, "roles": {}, "delegable": true, "ticket": false, "challenge_seconds": 3600, "max_ttl_seconds": 300},
		"medium": {"approvals": 1, "roles": {}, "delegable": true, "ticket": false, "challenge_seconds": 3600, "max_ttl_seconds": 300},
		"high": {"approvals": 2, "roles": {}, "delegable": true, "ticket": false, "challenge_seconds": 3600, "max_ttl_seconds": 300},
		"critical": {"approvals": 2, "roles": {"executive": 1}, "delegable": false, "ticket": true, "challenge_seconds": 3600, "max_ttl_seconds": 300},
	},
	"catalogue": {
		"crm.contact.read": {
			"view": "Read contact {{contact_id}} with its personal data",
			"tier": "medium",
			"data_class": "personal",
			"reversibility": "read_only",
			"bind_request": false,
			"parameters": {"required": ["contact_id"], "properties": {"contact_id": {"type": "string"}}},
			"limits": {},
		},
		"erp.order.create": {
			"view": "Order {{quantity}} of {{item}} from vendor {{vendor_id}} for {{amount}} {{currency}}",
			"tier": "medium",
			"data_class": "internal",
			"reversibility": "reversible",
			"bind_request": false,
			"parameters": {
				"required": ["vendor_id", "item", "quantity", "amount", "currency"],
				"properties": {
					"amount": {"type": "number"},
					"currency": {"type": "string"},
					"item": {"type": "string"},
					"quantity": {"type": "integer"},
					"vendor_id": {"type": "string"},
				},
			},
			"limits": {"amount": {"max": 50000}, "quantity": {"max": 10000}},
		},
		"erp.order.update": {
			"view": "Change order {{order_id}}: quantity {{quantity}}, status {{status}}",
			"tier": "medium",
			"data_class": "internal",
			"reversibility": "reversible",
			"bind_request": false,
			"parameters": {"required": ["order_id"], "properties": {"order_id": {"type": "string"}, "quantity": {"type": "integer"}}},
			"limits": {"quantity": {"max": 10000}},
		},
		"erp.vendor.delete": {
			"view": "Delete vendor {{vendor_id}}, because {{reason}}",
			"tier": "critical",
			"data_class": "confidential",
			"reversibility": "irreversible",
			"bind_request": true,
			"parameters": {
				"required": ["vendor_id", "reason"],
				"properties": {"reason": {"type": "string"}, "vendor_id": {"type": "string"}},
			},
			"limits": {},
			"max_ttl_seconds": 120,
		},
		"erp.vendor.read": {
			"view": "Read vendor {{vendor_id}}",
			"tier": "low",
			"data_class": "internal",
			"reversibility": "read_only",
			"bind_request": false,
			"parameters": {"required": ["vendor_id"], "properties": {"vendor_id": {"type": "string"}}},
			"limits": {},
		},
		"hr.employee.view_limited": {
			"view": "View the directory entry of employee {{employee_id}}",
			"tier": "medium",
			"data_class": "personal",
			"reversibility": "read_only",
			"bind_request": false,
			"parameters": {"required": ["employee_id"], "properties": {"employee_id": {"type": "string"}}},
			"limits": {},
		},
		"sap.vendor.change": {
			"view": "Change the bank account of vendor {{vendor_id}} to {{iban}} and its payment limit to {{payment_limit}}",
			"tier": "high",
			"data_class": "confidential",
			"reversibility": "externally_reversible",
			"bind_request": true,
			"parameters": {
				"required": ["vendor_id", "iban", "payment_limit"],
				"properties": {
					"bic": {"type": "string"},
					"iban": {"type": "string"},
					"payment_limit": {"type": "number"},
					"reason": {"type": "string"},
					"vendor_id": {"type": "string"},
				},
			},
			"limits": {"payment_limit": {"max": 250000}},
		},
	},
	"workspaces": {"default": {"free_form_leg": false}},
	"environments": {},
	"teams": {},
	"calendars": {},
	"freezes": {},
	"maintenance": {},
	"rates": [],
	"low_risk_allowlist": {"acts": {"erp.vendor.read": true}},
	"risk": {
		"threshold": 100,
		"near_limit_percent": 80,
		"base": {
			"tier": {
				"low": {"factor": "tier:low", "points": 0},
				"medium": {"factor": "tier:medium", "points": 10},
				"high": {"factor": "tier:high", "points": 25},
				"critical": {"factor": "tier:critical", "points": 40},
			},
			"data_class": {
				"internal": {"factor": "data_class:internal", "points": 5},
				"confidential": {"factor": "data_class:confidential", "points": 10},
				"personal": {"factor": "data_class:personal", "points": 15},
			},
			"reversibility": {
				"read_only": {"factor": "reversibility:read_only", "points": 0},
				"reversible": {"factor": "reversibility:reversible", "points": 5},
				"externally_reversible": {"factor": "reversibility:externally_reversible", "points": 10},
				"irreversible": {"factor": "reversibility:irreversible", "points": 15},
			},
			"environment": {
				"production": {"factor": "environment:production", "points": 10},
				"staging": {"factor": "environment:staging", "points": 5},
				"development": {"factor": "environment:development", "points": 0},
			},
		},
		"points": {"near_limit": 10, "outside_hours": 10, "privileged_target": 15},
	},
	"leg_templates": {
		"consent": {
			"acts": ["crm.*"],
			"version": "1.0.0",
			"basis": "CONSENT",
			"jurisdictions": ["EU", "DE"],
			"data_classes": ["internal", "confidential", "personal"],
			"valid_from": "2026-01-01",
			"valid_until": "2099-12-31",
		},
		"contract": {
			"acts": ["erp.*", "sap.*", "hr.employee.view_limited"],
			"version": "1.0.0",
			"basis": "CONTRACT",
			"jurisdictions": ["EU", "DE"],
			"data_classes": ["internal", "confidential", "personal"],
			"valid_from": "2026-01-01",
			"valid_until": "2099-12-31",
		},
		"legal-obligation": {
			"acts": ["erp.*"],
			"version": "1.0.0",
			"basis": "LEGAL",
			"jurisdictions": ["EU", "DE"],
			"data_classes": ["internal", "confidential", "personal"],
			"valid_from": "2026-01-01",
			"valid_until": "2099-12-31",
		},
		"legitimate-interest": {
			"acts": ["erp.*"],
			"version": "1.0.0",
			"basis": "LI",
			"jurisdictions": ["EU", "DE"],
			"data_classes": ["internal", "confidential", "personal"],
			"valid_from": "2026-01-01",
			"valid_until": "2099-12-31",
		},
	},
}

low := {
	"phase": "call",
	"time": 1790000000,
	"workspace": "default",
	"environment": "production",
	"agent": {"id": "spiffe://atb.dev/agent/procurement", "trust_domain": "atb.dev"},
	"poa": {
		"iss": "spiffe://atb.dev/agentauth",
		"sub": "spiffe://atb.dev/agent/procurement",
		"aud": ["spiffe://atb.dev/broker"],
		"act": "erp.vendor.read",
		"con": {},
		"leg": {
			"jurisdiction": "EU",
			"accountable_party": {"id": "frank", "type": "employee"},
			"basis": "CONTRACT",
			"ref": "MSA-1",
			"description": "Fulfil order 7",
			"template": {"digest": "sha-256:aa", "id": "contract", "version": "1.0.0"},
		},
		"tier": "low",
		"ttl": 60,
		"iat": 1789999995,
		"nbf": 1789999995,
		"exp": 1790000055,
		"jti": "0198",
		"pol": "r1",
	},
	"request": {
		"act": "erp.vendor.read",
		"connector": "erp",
		"method": "POST",
		"path": "/x/1",
		"params": {"vendor_id": "V-1001"},
		"digest": "sha-256:00",
	},
	"approvals": [],
	"requires_dual_control": false,
}

medium := {
	"phase": "call",
	"time": 1790000000,
	"workspace": "default",
	"environment": "production",
	"agent": {"id": "spiffe://atb.dev/agent/procurement", "trust_domain": "atb.dev"},
	"poa": {
		"iss": "spiffe://atb.dev/agentauth",
		"sub": "spiffe://atb.dev/agent/procurement",
		"aud": ["spiffe://atb.dev/broker"],
		"act": "erp.order.create",
		"con": {"amount": {"max": 500}, "currency": "EUR"},
		"leg": {
			"jurisdiction": "EU",
			"accountable_party": {"id": "frank", "type": "employee"},
			"basis": "CONTRACT",
			"ref": "MSA-1",
			"description": "Fulfil order 7",
			"template": {"digest": "sha-256:aa", "id": "contract", "version": "1.0.0"},
			"approval": {"approver_id": "spiffe://atb.dev/approver/alice", "approved_at": 1789999990, "statement": "e.e.e"},
		},
		"tier": "medium",
		"ttl": 60,
		"iat": 1789999995,
		"nbf": 1789999995,
		"exp": 1790000055,
		"jti": "0198",
		"pol": "r1",
	},
	"request": {
		"act": "erp.order.create",
		"connector": "erp",
		"method": "POST",
		"path": "/x/1",
		"params": {"amount": 120.5, "currency": "EUR", "item": "bolts", "quantity": 10, "vendor_id": "V-1001"},
		"digest": "sha-256:00",
	},
	"approvals": [{"id": "spiffe://atb.dev/approver/alice", "approved_at": 1789999990}],
	"requires_dual_control": false,
}

high := {
	"phase": "call",
	"time": 1790000000,
	"workspace": "default",
	"environment": "production",
	"agent": {"id": "spiffe://atb.dev/agent/procurement", "trust_domain": "atb.dev"},
	"poa": {
		"iss": "spiffe://atb.dev/agentauth",
		"sub": "spiffe://atb.dev/agent/procurement",
		"aud": ["spiffe://atb.dev/broker"],
		"act": "sap.vendor.change",
		"con": {"payment_limit": {"max": 5000}, "vendor_id": {"eq": "V-1001"}},
		"leg": {
			"jurisdiction": "EU",
			"accountable_party": {"id": "frank", "type": "employee"},
			"basis": "CONTRACT",
			"ref": "MSA-1",
			"description": "Fulfil order 7",
			"template": {"digest": "sha-256:aa", "id": "contract", "version": "1.0.0"},
			"dual_control": {
				"required": true,
				"approvers": [
					{
						"id": "spiffe://atb.dev/approver/alice",
						"type": "manager",
						"approved_at": 1789999990,
						"statement": "e.e.e",
					},
					{
						"id": "spiffe://atb.dev/approver/bob",
						"type": "manager",
						"approved_at": 1789999990,
						"statement": "e.e.e",
					},
				],
			},
		},
		"tier": "high",
		"ttl": 60,
		"iat": 1789999995,
		"nbf": 1789999995,
		"exp": 1790000055,
		"jti": "0198",
		"pol": "r1",
		"req": {"connector": "erp", "method": "POST", "path": "/x/1", "digest": "sha-256:00"},
	},
	"request": {
		"act": "sap.vendor.change",
		"connector": "erp",
		"method": "POST",
		"path": "/x/1",
		"params": {"bic": "COBADEFFXXX", "iban": "DE89370400440532013000", "payment_limit": 5000, "vendor_id": "V-1001"},
		"digest": "sha-256:00",
	},
	"approvals": [
		{"id": "spiffe://atb.dev/approver/alice", "approved_at": 1789999990},
		{"id": "spiffe://atb.dev/approver/bob", "approved_at": 1789999990},
	],
	"requires_dual_control": true,
}

critical := {
	"phase": "call",
	"time": 1790000000,
	"workspace": "default",
	"environment": "production",
	"agent": {"id": "spiffe://atb.dev/agent/procurement", "trust_domain": "atb.dev"},
	"poa": {
		"iss": "spiffe://atb.dev/agentauth",
		"sub": "spiffe://atb.dev/agent/procurement",
		"aud": ["spiffe://atb.dev/broker"],
		"act": "erp.vendor.delete",
		"con": {"vendor_id": "V-1001"},
		"leg": {
			"jurisdiction": "EU",
			"accountable_party": {"id": "frank", "type": "employee"},
			"basis": "CONTRACT",
			"ref": "MSA-1",
			"description": "Fulfil order 7",
			"template": {"digest": "sha-256:aa", "id": "contract", "version": "1.0.0"},
			"dual_control": {
				"required": true,
				"approvers": [
					{
						"id": "spiffe://atb.dev/approver/bob",
						"type": "manager",
						"approved_at": 1789999990,
						"statement": "e.e.e",
					},
					{
						"id": "spiffe://atb.dev/approver/carol",
						"type": "manager",
						"approved_at": 1789999990,
						"statement": "e.e.e",
					},
				],
			},
			"ticket": {"ref": "SEC-1", "system": "jira"},
		},
		"tier": "critical",
		"ttl": 60,
		"iat": 1789999995,
		"nbf": 1789999995,
		"exp": 1790000055,
		"jti": "0198",
		"pol": "r1",
		"req": {"connector": "erp", "method": "POST", "path": "/x/1", "digest": "sha-256:00"},
	},
	"request": {
		"act": "erp.vendor.delete",
		"connector": "erp",
		"method": "POST",
		"path": "/x/1",
		"params": {"reason": "duplicate", "vendor_id": "V-1001"},
		"digest": "sha-256:00",
	},
	"approvals": [
		{"id": "spiffe://atb.dev/approver/bob", "approved_at": 1789999990},
		{"id": "spiffe://atb.dev/approver/carol", "approved_at": 1789999990},
	],
	"requires_dual_control": true,
}

draft_low := {
	"phase": "issue",
	"time": 1790000000,
	"workspace": "default",
	"environment": "production",
	"agent": {"id": "spiffe://atb.dev/agent/procurement", "trust_domain": "atb.dev"},
	"poa": {
		"iss": "spiffe://atb.dev/agentauth",
		"sub": "spiffe://atb.dev/agent/procurement",
		"aud": ["spiffe://atb.dev/broker"],
		"act": "erp.vendor.read",
		"con": {},
		"leg": {
			"jurisdiction": "EU",
			"accountable_party": {"id": "frank", "type": "employee"},
			"basis": "CONTRACT",
			"ref": "MSA-1",
			"description": "Fulfil order 7",
			"template": {"digest": "sha-256:aa", "id": "contract", "version": "1.0.0"},
		},
		"tier": "low",
		"ttl": 60,
	},
	"approvals": [],
	"requires_dual_control": false,
}

draft_medium := {
	"phase": "issue",
	"time": 1790000000,
	"workspace": "default",
	"environment": "production",
	"agent": {"id": "spiffe://atb.dev/agent/procurement", "trust_domain": "atb.dev"},
	"poa": {
		"iss": "spiffe://atb.dev/agentauth",
		"sub": "spiffe://atb.dev/agent/procurement",
		"aud": ["spiffe://atb.dev/broker"],
		"act": "erp.order.create",
		"con": {"amount": {"max": 500}, "currency": "EUR"},
		"leg": {
			"jurisdiction": "EU",
			"accountable_party": {"id": "frank", "type": "employee"},
			"basis": "CONTRACT",
			"ref": "MSA-1",
			"description": "Fulfil order 7",
			"template": {"digest": "sha-256:aa", "id": "contract", "version": "1.0.0"},
		},
		"tier": "medium",
		"ttl": 60,
	},
	"approvals": [],
	"requires_dual_control": false,
}

draft_high := {
	"phase": "issue",
	"time": 1790000000,
	"workspace": "default",
	"environment": "production",
	"agent": {"id": "spiffe://atb.dev/agent/procurement", "trust_domain": "atb.dev"},
	"poa": {
		"iss": "spiffe://atb.dev/agentauth",
		"sub": "spiffe://atb.dev/agent/procurement",
		"aud": ["spiffe://atb.dev/broker"],
		"act": "sap.vendor.change",
		"con": {"payment_limit": {"max": 5000}, "vendor_id": {"eq": "V-1001"}},
		"leg": {
			"jurisdiction": "EU",
			"accountable_party": {"id": "frank", "type": "employee"},
			"basis": "CONTRACT",
			"ref": "MSA-1",
			"description": "Fulfil order 7",
			"template": {"digest": "sha-256:aa", "id": "contract", "version": "1.0.0"},
		},
		"tier": "high",
		"ttl": 60,
		"req": {"connector": "erp", "method": "POST", "path": "/x/1", "digest": "sha-256:00"},
	},
	"request": {
		"act": "sap.vendor.change",
		"connector": "erp",
		"method": "POST",
		"path": "/x/1",
		"params": {"bic": "COBADEFFXXX", "iban": "DE89370400440532013000", "payment_limit": 5000, "vendor_id": "V-1001"},
		"digest": "sha-256:00",
	},
	"approvals": [],
	"requires_dual_control": false,
}

draft_critical := {
	"phase": "issue",
	"time": 1790000000,
	"workspace": "default",
	"environment": "production",
	"agent": {"id": "spiffe://atb.dev/agent/procurement", "trust_domain": "atb.dev"},
	"poa": {
		"iss": "spiffe://atb.dev/agentauth",
		"sub": "spiffe://atb.dev/agent/procurement",
		"aud": ["spiffe://atb.dev/broker"],
		"act": "erp.vendor.delete",
		"con": {"vendor_id": "V-1001"},
		"leg": {
			"jurisdiction": "EU",
			"accountable_party": {"id": "frank", "type": "employee"},
			"basis": "CONTRACT",
			"ref": "MSA-1",
			"description": "Fulfil order 7",
			"template": {"digest": "sha-256:aa", "id": "contract", "version": "1.0.0"},
			"ticket": {"ref": "SEC-1", "system": "jira"},
		},
		"tier": "critical",
		"ttl": 60,
		"req": {"connector": "erp", "method": "POST", "path": "/x/1", "digest": "sha-256:00"},
	},
	"request": {
		"act": "erp.vendor.delete",
		"connector": "erp",
		"method": "POST",
		"path": "/x/1",
		"params": {"reason": "duplicate", "vendor_id": "V-1001"},
		"digest": "sha-256:00",
	},
	"approvals": [],
	"requires_dual_control": false,
}

approver(name) := concat("", ["spiffe://atb.dev/approver/", name])

# A copy of the input with one member set, or taken away. A path is a JSON Pointer without array indices.
put(doc, path, value) := object.union(drop(doc, path), nest(split(substring(path, 1, -1), "/"), value))

drop(doc, path) := json.remove(doc, [substring(path, 1, -1)])

nest([a], value) := {a: value}

nest([a, b], value) := {a: {b: value}}

nest([a, b, c], value) := {a: {b: {c: value}}}

nest([a, b, c, d], value) := {a: {b: {c: {d: value}}}}

# The same approvers in the input and in the ground.
signed(doc, names) := signed_by(doc, [approver(name) | some name in names])

signed_by(doc, ids) := put(put(doc, "/approvals", [{"id": id, "approved_at": 1} | some id in ids]), "/poa/leg/dual_control", {
	"required": true,
	"approvers": [{"id": id, "type": "manager", "approved_at": 1, "statement": "s"} | some id in ids],
})

rules_of(decision) := [violation.rule | some violation in decision.violations]

# The one place where a question is put: to the policy, about an input, in a world. Teams, calendars and the list of low
# risk are replaced only where they can matter.
ask(question, doc, there) := answer if {
	[there.teams, there.calendars] == [{}, {}]
	{1 | doc.unmandated} == set()
	answer := answers(question) with input as doc
		with data.agents as there.agents
		with data.approvers as there.approvers
		with data.roles as there.roles
		with data.tiers as there.tiers
		with data.catalogue as there.catalogue
		with data.leg_templates as there.leg_templates
		with data.workspaces as there.workspaces
		with data.environments as there.environments
		with data.freezes as there.freezes
		with data.maintenance as there.maintenance
		with data.rates as there.rates
		with data.risk as there.risk
} else := answer if {
	answer := answers(question) with input as doc
		with data.agents as there.agents
		with data.approvers as there.approvers
		with data.roles as there.roles
		with data.tiers as there.tiers
		with data.catalogue as there.catalogue
		with data.leg_templates as there.leg_templates
		with data.workspaces as there.workspaces
		with data.environments as there.environments
		with data.teams as there.teams
		with data.calendars as there.calendars
		with data.freezes as there.freezes
		with data.maintenance as there.maintenance
		with data.rates as there.rates
		with data.low_risk_allowlist as there.low_risk_allowlist
		with data.risk as there.risk
}

# The same for a denial, with no more of the world than its reason needs: each document of data that is replaced costs the
# engine a walk over all rules. A decision shows the reason of the lowest rank. A malformed input comes before whatever
# the data say, what is wrong with the mandate or the call before anything about templates and approvers, a ground before
# who approved, and all of these before time, rates and risk.
ask_for(question, doc, reason) := anywhere(question, doc) if data.reasons[reason].rank <= data.reasons.input_malformed.rank

else := answer if {
	data.reasons[reason].rank < data.reasons.leg_incomplete.rank
	there := world
	answer := answers(question) with input as doc
		with data.agents as there.agents
		with data.tiers as there.tiers
		with data.catalogue as there.catalogue
		with data.workspaces as there.workspaces
		with data.environments as there.environments
}

else := answer if {
	data.reasons[reason].rank < data.reasons.agent_operator_unknown.rank
	there := world
	answer := answers(question) with input as doc
		with data.agents as there.agents
		with data.tiers as there.tiers
		with data.catalogue as there.catalogue
		with data.leg_templates as there.leg_templates
		with data.workspaces as there.workspaces
		with data.environments as there.environments
}

else := answer if {
	data.reasons[reason].rank < data.reasons.change_freeze.rank
	there := world
	answer := answers(question) with input as doc
		with data.agents as there.agents
		with data.approvers as there.approvers
		with data.roles as there.roles
		with data.tiers as there.tiers
		with data.catalogue as there.catalogue
		with data.leg_templates as there.leg_templates
		with data.workspaces as there.workspaces
		with data.environments as there.environments
}

else := ask(question, doc, world)

# The same about many inputs in one world: to replace a document of data costs more than to decide.
ask_each(question, docs, there) := answer if {
	answer := [one | some doc in docs; one := anywhere(question, doc)] with data.agents as there.agents
		with data.approvers as there.approvers
		with data.roles as there.roles
		with data.tiers as there.tiers
		with data.catalogue as there.catalogue
		with data.leg_templates as there.leg_templates
		with data.workspaces as there.workspaces
		with data.environments as there.environments
		with data.teams as there.teams
		with data.calendars as there.calendars
		with data.freezes as there.freezes
		with data.maintenance as there.maintenance
		with data.rates as there.rates
		with data.low_risk_allowlist as there.low_risk_allowlist
		with data.risk as there.risk
}

reasons_each(docs, there) := [decision.reason | some decision in ask_each("call", docs, there)]

denied_each(docs, reason) if {
	decisions := ask_each("call", docs, world)
	count(decisions) == count(docs)
	every decision in decisions {
		[decision.allow, decision.reason] == [false, reason]
		decision.violations[0].rule == reason
	}
}

# What time, rates and overlays say by themselves.
ask_local(question, doc, there) := answer if {
	answer := answers(question) with input as doc
		with data.catalogue as there.catalogue
		with data.workspaces as there.workspaces
		with data.environments as there.environments
		with data.calendars as there.calendars
		with data.freezes as there.freezes
		with data.maintenance as there.maintenance
		with data.rates as there.rates
}

ask_local_each(question, docs, there) := answer if {
	answer := [one | some doc in docs; one := anywhere(question, doc)] with data.catalogue as there.catalogue
		with data.workspaces as there.workspaces
		with data.environments as there.environments
		with data.calendars as there.calendars
		with data.freezes as there.freezes
		with data.maintenance as there.maintenance
		with data.rates as there.rates
}

# A world in which the workspace asks for more.
overlaid(members) := changed({"workspaces": {"default": members}})

seconds(text) := time.parse_rfc3339_ns(text) / 1000000000

reasons_of(findings) := {finding[0] | some finding in findings}

# For what holds whatever the data are.
anywhere(question, doc) := answer if answer := answers(question) with input as doc

answers(question) := data.atb.poa.decision if question == "call"

else := data.atb.issue.decision if question == "draft"

else := [data.atb.poa.decision, data.atb.poa_found] if question == "call and findings"

else := [data.atb.issue.decision, data.atb.issue_found, data.atb.issue_permitted] if question == "draft and findings"

else := data.atb.approval.assessment if question == "assessment"

else := data.atb.approval.requirement if question == "requirement"

else := [data.atb.poa.decision, data.atb.approval.assessment] if question == "call and assessment"

else := [
	data.atb.poa.decision.reason,
	data.atb.approval_refused,
	{i | some i, people in data.atb.approval_people; people != set()},
	{row[1] | some row in data.atb.approval_objections},
] if {
	question == "call, refused, proof and objections"
}

else := {
	"decision": data.atb.poa.decision,
	"findings": data.atb.poa_found,
	"unfound": count(data.atb.poa_found) == 0,
	"held": every_long_form_of_a_call,
} if {
	question == "ways of a call"
}

else := {
	"decision": data.atb.issue.decision,
	"findings": data.atb.issue_found,
	"unfound": count(data.atb.issue_found) == 0,
	"held": count([1 | data.atb.issue_permitted]) == 1,
} if {
	question == "ways of a draft"
}

else := data.atb.poa.allow if question == "call allowed"

else := data.atb.issue.allow if question == "draft allowed"

else := data.atb.act_cap if question == "cap"

else := data.atb.calendar_explained if question == "calendar"

else := count([1 | data.atb.overlay_none]) if question == "nothing beyond the base"

else := data.atb.rates_explained if question == "rates"

else := data.atb.overlay_explained if question == "overlay"

else := [data.atb.poa.decision, data.atb.local_matched, data.atb.risk_document] if question == "call, matched, risk"

else := data.atb.risk_document if question == "risk"

else := data.atb.issue_answer(question.draft_gates, data.atb.act_entry, data.atb.approval.requirement) if question.draft_gates

else := data.atb.poa_answer(question.gates, data.atb.act_entry)

# As many as any decision has.
every_gate_closed := [set(), set(), set(), set(), set(), set(), set(), set(), set(), set()]

every_long_form_of_a_call := count([1 |
	data.atb.poa_sound
	data.atb.mandate_in_time
	data.atb.parameters_ok
	data.atb.constraints_ok
	data.atb.leg_ok
	data.atb.approval_ok
	data.atb.mandate_bound
	data.atb.local_explained == set()
]) == 1

# The world with some members changed, the others kept; `put` and `drop` replace and remove.
changed(members) := object.union(world, members)

call(doc) := ask("call", doc, world)

call_in(there, doc) := ask("call", doc, there)

draft(doc) := ask("draft", doc, world)

requirement(doc) := ask("requirement", doc, world)

assessment(doc) := ask("assessment", doc, world)

denied(doc, reason) if {
	decision := ask_for("call", doc, reason)
	decision.allow == false
	decision.reason == reason
	decision.violations[0].rule == reason
}

refused(doc, reason) if {
	decision := ask_for("draft", doc, reason)
	decision.allow == false
	decision.reason == reason
	decision.violations[0].rule == reason
}

# No draft at all: there is nothing to ask for.
refused_outright(doc) if {
	decision := anywhere("draft", doc)
	decision.allow == false
	decision.reason == "input_malformed"
	decision.violations[0].rule == "input_malformed"
	decision.requirement == null
}

allowed(doc) if {
	[decision, findings] := ask("call and findings", doc, world)
	decision.allow == true
	decision.reason == "ok"
	decision.violations == []
	findings == set()
}

may_issue(doc) if {
	[decision, findings, permitted] := ask("draft and findings", doc, world)
	permitted == true
	decision.allow == true
	decision.reason == "ok"
	findings == set()
}
