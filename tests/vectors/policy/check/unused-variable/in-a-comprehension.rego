package x

a := [1 | x := input.time]
# expect: 3:11
