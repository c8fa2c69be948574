package x

a { input.time > 0 }
# expect: 3:3
