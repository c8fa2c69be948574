package x

a if {
	input.time > 0
# expect: 6:1
