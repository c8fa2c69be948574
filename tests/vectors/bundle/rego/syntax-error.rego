# finding: 6: expecting expression
package hostile

p if {
	input.a ==
}
