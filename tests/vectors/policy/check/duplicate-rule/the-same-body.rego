package x

a if input.time > 0

a if input.time > 0
# expect: 5:1
