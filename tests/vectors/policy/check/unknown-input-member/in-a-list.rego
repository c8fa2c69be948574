package x

a if {
	some one in input.approvals
	one.person == "x"
}
# expect: 5:6
