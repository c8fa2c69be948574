package x

a if input.phase == "isue"
# expect: 3:21
