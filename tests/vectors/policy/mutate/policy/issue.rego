package atb.issue

import data.atb.poa

decision := object.union(poa.decision, {"requirement": {
	"required": 0, "roles": {}, "excluded": [], "delegable": true, "ticket": false, "challenge_seconds": 60,
	"max_ttl_seconds": 300,
}})
