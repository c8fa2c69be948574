package x

a := 1 if {
	x := input.time
	x > 0
} else := x if {
	input.time < 9
}
# expect: 6:11
