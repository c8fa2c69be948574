package x

a := cast_string(input.workspace)
# expect: 3:6
