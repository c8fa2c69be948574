package atb.approval

assessment := {
	"counted": [], "refused": [], "approved": 0, "required": 1, "roles_missing": {}, "met": false,
}
