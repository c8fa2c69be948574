package x

a := 1 if true

else := 2 if input.time > 0
# expect: 5:1
