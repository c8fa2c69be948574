# finding: 4: nothing is called `i` here
package hostile

p if input.xs[i] == 1
