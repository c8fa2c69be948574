package x

a if input.time == "now"
# expect: 3:6
