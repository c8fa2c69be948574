# finding: 5: `some x` without `in`
package hostile

p if {
	some i
	input.xs[i] == 1
}
