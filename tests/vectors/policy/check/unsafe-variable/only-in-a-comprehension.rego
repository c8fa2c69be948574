package x

a := y if {
	xs := [1 | y := input.time; y > 0]
	xs != []
}
# expect: 3:6
