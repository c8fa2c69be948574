# finding: 4: a negation that holds when this member of `input` is missing
package hostile

p if not input.amount > 5000
