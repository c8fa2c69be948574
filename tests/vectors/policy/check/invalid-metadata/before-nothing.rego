package x

a if input.time > 0

# METADATA
# title: nothing
# expect: 5:1
