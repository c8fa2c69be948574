package x

# METADATA
# title: A
# entrypoint: true
a if input.time > 0
# expect: 6:1
