package x

a := uuid.rfc4122(input.workspace)
# expect: 3:6
