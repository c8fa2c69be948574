package x

a if {
	some i, x in input.approvals
	x.id != ""
}
# expect: 4:7
