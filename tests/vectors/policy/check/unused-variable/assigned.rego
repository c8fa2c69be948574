package x

a if {
	x := input.time
	input.workspace == "b"
}
# expect: 4:2
