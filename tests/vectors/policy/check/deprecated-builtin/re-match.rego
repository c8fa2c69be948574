package x

a if re_match("a", input.workspace)
# expect: 3:6
