package x

f(x) := 1 if x > 0

f(x) := 2 if {
	x > 0
	x < 9
}
# expect: 5:1
