# finding: 7: the variable `denied` hides a rule
package hostile

denied if input.bad

p if {
	some denied in input.xs
	not denied
}
