package x

a if { input.time > 0 input.time < 9 }
# expect: 3:23
