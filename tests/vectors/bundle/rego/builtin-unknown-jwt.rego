# finding: 4: there is no function or builtin `io.jwt.decode`
package hostile

p := io.jwt.decode(input.token)
