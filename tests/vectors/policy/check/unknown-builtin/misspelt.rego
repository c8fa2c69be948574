package x

a if startwith(input.workspace, "a")
# expect: 3:6
