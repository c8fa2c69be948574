# finding: 4: `trim` with a computed set
package hostile

p := trim(input.text, input.cutset)
