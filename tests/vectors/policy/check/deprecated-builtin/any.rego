package x

a if any([input.time > 0])
# expect: 3:6
