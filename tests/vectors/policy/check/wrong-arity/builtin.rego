package x

a if startswith(input.workspace)
# expect: 3:6
