package x

a := input.workspace.name
# expect: 3:22
