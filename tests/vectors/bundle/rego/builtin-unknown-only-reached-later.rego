# finding: 6: there is no function or builtin `crypto.sha256`
package hostile

p if {
	input.never
	crypto.sha256("x") == input.digest
}
