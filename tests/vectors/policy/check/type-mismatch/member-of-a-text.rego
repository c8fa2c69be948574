package x

a if "x" in input.workspace
# expect: 3:13
