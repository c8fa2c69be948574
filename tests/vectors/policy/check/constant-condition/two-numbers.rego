package x

a if {
	input.time > 0
	1 < 2
}
# expect: 5:2
