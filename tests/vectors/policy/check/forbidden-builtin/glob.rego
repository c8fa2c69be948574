package x

a if glob.match("a.*", [], input.workspace)
# expect: 3:6
