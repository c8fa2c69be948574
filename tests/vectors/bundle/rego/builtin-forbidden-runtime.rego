# finding: 4: the safe profile does not allow `opa.runtime`
package hostile

p := opa.runtime()
