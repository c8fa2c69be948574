package atb.issue

import data.atb.poa

decision := object.union(poa.decision, {"requirement": {
	"required": 0, "executives": 0, "ticket": false, "challenge_seconds": 60, "max_ttl_seconds": 300,
}})
