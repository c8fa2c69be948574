# finding: 4: the safe profile does not allow `sprintf`
package hostile

deny contains sprintf("%d %d", [1]) if input.bad
