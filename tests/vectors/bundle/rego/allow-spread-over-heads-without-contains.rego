# finding: 5: `name[x]` without a value
package hostile

some_acts := ["a"]
denied[act] if {
	some act in some_acts
}
