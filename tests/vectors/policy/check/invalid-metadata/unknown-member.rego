package x

# METADATA
# titel: a
a if input.time > 0
# expect: 3:1
