package atb.approval

assessment := {
	"counted": [], "refused": [], "approved": 0, "required": 1, "executives_missing": 0, "met": false,
}
