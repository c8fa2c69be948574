package x

a := numbers.range(1, 2)
# expect: 3:6
