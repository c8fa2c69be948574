# finding: recursion: hostile.f -> hostile.g -> hostile.f
package hostile

f(x) := g(x + 1)

g(x) := f(x)

p := f(1)
