# finding: 4: a negation over something that may be missing
package hostile

p if not count(input.xs[_]) > 1
