# finding: 5: a negation that holds when this member of `input` is missing
package hostile

blocked(x) if x == "evil"
p if not blocked(input.name)
