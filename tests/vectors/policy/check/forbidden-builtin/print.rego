package x

a if print(input.workspace)
# expect: 3:6
