# finding: 4: `startswith` takes 2 arguments and gets 1
package hostile

p if startswith(input.x)
