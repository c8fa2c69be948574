package x

f(x, y) := x

a := f(1, 2)
# expect: 3:6
