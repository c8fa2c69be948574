package x

f(x) := x

a := f(1, 2)
# expect: 5:6
