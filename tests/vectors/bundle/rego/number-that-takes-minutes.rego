# finding: 4: a number longer than
package hostile

p := 1e999999999 > 1
