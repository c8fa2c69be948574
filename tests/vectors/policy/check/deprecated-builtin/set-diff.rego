package x

a := set_diff({1}, {2})
# expect: 3:6
