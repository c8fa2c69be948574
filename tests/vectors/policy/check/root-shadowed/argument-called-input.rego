package x

f(input) := 1 if input > 0
# expect: 3:3
