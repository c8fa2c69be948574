package x

a if {
	input.time > 0
	false
}
# expect: 5:2
