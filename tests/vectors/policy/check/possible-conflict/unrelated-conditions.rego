package x

a := 1 if input.time > 0

a := 2 if input.workspace == "b"
# expect: 5:1
