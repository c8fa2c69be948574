package x

a if startswith(input.time, "a")
# expect: 3:17
