# finding: 6: a second body directly behind the first
package hostile

p := 1 if {
	input.a
} {
	input.b
}
