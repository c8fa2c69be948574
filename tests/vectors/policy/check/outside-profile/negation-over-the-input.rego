package x

a if not input.time > 5
# expect: 3:10
