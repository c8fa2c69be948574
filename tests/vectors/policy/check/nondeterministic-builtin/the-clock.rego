package x

a if time.now_ns() > 0
# expect: 3:6
