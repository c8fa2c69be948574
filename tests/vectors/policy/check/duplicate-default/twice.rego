package x

default a := false

default a := true

a if input.time > 0
# expect: 5:1
