package x

a if {
	some x
	x = input.time
	x > 0
}
# expect: 4:2
