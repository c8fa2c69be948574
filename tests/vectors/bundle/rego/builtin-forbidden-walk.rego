# finding: 4: the safe profile does not allow `walk`
package hostile

p if walk(input, ["a", 1])
