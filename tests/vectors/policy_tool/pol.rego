package pol

default allow := false

allow if {
	input.user == "alice"
	input.n < 10
}

f(x) := x + 1

items contains x if {
	some x in input.xs
	x > 3
}
