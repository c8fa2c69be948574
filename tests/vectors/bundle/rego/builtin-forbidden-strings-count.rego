# finding: 4: the safe profile does not allow `strings.count`
package hostile

p := strings.count(input.x, "")
