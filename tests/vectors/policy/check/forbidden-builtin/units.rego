package x

a := units.parse_bytes(input.workspace)
# expect: 3:6
