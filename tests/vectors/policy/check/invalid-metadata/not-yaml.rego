package x

# METADATA
#   title: a
#  broken
a if input.time > 0
# expect: 5:1
