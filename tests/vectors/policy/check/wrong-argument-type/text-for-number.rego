package x

a := abs(input.workspace)
# expect: 3:10
