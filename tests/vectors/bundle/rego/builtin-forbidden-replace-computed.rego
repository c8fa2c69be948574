# finding: 4: `replace` with a computed pattern
package hostile

p := replace(input.text, "", input.text)
