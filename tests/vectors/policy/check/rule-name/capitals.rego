package x

isAllowed if input.time > 0
# expect: 3:1
