# finding: 4: the safe profile does not allow `numbers.range`
package hostile

p := count(numbers.range(1, 1000000000))
