# finding: 8: a second body directly behind the first
package hostile

p := 1 if {
	input.a
} else := 2 if {
	input.b
} {
	input.c
}
