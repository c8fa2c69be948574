# finding: 4: the value of `… in …` is false where something of it is missing
package hostile

p := input.x in ["a"]
