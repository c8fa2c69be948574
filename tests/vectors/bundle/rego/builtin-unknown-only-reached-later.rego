# finding: 6: there is no function or builtin `crypto.sha3`
package hostile

p if {
	input.never
	crypto.sha3("x") == input.digest
}
