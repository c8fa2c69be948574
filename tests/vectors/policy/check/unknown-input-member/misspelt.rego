package x

a := input.workspce
# expect: 3:12
