package x

a if {
	x := input.time
	x > 0
	ys := [x | some x in input.approvals]
	ys != []
}
# expect: 6:18
