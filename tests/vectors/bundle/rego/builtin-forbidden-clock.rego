# finding: 4: the safe profile does not allow `time.now_ns`
package hostile

p := time.now_ns()
