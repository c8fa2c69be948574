# finding: 5: nothing gives the variable `i` a value
package hostile

p if {
	some i
	not input.xs[i] == 1
}
