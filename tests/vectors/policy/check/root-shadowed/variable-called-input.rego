package x

a if {
	input := 1
	input > 0
}
# expect: 4:8
