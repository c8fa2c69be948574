package x

# METADATA
# title: a
# scope: everywhere
a if input.time > 0
# expect: 3:1
