package x

a if {
	some x
	not input.agent[x]
}
# expect: 4:7
