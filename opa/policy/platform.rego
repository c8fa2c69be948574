# Platform (owner: broker)
#
# Where the directory says on what platform an agent runs, its SVID must come from there: under which authority, for
# which connectors, how long it may live.

package atb

# METADATA
# title: The caller runs where the directory says
# custom:
#   owner: broker
#   controls: [ISO 27001 A.5.16, NIST SP 800-207, SPIFFE X509-SVID]
platform_explained := union({
	{["platform_mismatch", "/agent/platform/authority"] |
		authorities := platform_asked.authorities
		[1 | input.agent.platform.authority in authorities] == []
	},
	{["platform_mismatch", "/request/connector"] |
		connectors := platform_asked.connectors
		call := input.request
		[1 | call.connector in connectors] == []
	},
	{["platform_mismatch", "/agent/platform/expires_at"] |
		longest := platform_asked.max_svid_seconds
		[1 |
			svid := input.agent.platform
			is_number(svid.issued_at)
			is_number(svid.expires_at)
			svid.expires_at - svid.issued_at <= longest
		] == []
	},
})

# METADATA
# title: What the directory asks, undefined where it asks nothing
platform_asked := data.agents[input.agent.id].platform
