package x

a := 1

a := 2
# expect: 5:1
