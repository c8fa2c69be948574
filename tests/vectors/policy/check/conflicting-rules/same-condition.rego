package x

a := 1 if input.time > 0

a := 2 if input.time > 0
# expect: 5:1
