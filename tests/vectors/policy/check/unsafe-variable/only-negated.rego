package x

a if {
	not y == 1
}
# expect: 4:6
