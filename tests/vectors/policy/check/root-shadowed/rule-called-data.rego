package x

data := 1
# expect: 3:1
