# finding: 4: the safe profile does not allow `rand.intn`
package hostile

p := rand.intn("x", 5)
