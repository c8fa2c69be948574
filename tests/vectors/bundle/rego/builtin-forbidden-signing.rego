# finding: 4: the safe profile does not allow `io.jwt.encode_sign`
package hostile

p := io.jwt.encode_sign({}, {}, {})
