# finding: recursion: hostile.f -> hostile.f
package hostile

f(x) := f(x + 1)
