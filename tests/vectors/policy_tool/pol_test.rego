package pol_test

import data.pol

alice := {"user": "alice", "n": 1}

test_ok if pol.allow with input as alice

test_bad if {
	x := 5
	y := pol.f(x)
	y == 7
	pol.allow
}

test_with if {
	pol.allow with input as {"user": "bob", "n": 3}
}

test_value := "<x> & \"y\""

todo_test_later if false

test_err if {
	1 / 0 == 1
}

test_cases[name] if {
	some name, tc in {
		"one": {"n": 1, "want": true},
		"two": {"n": 100, "want": true},
	}
	got := pol.allow with input as {"user": "alice", "n": tc.n}
	got == tc.want
}

test_every if {
	every x in [1, 2, 3] {
		x < 3
	}
}
