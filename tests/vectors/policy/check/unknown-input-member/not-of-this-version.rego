package x

a := input.attributes
# expect: 3:12
