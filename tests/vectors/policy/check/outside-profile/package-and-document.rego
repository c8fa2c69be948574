package catalogue.x

a if input.time > 0
# expect: 3:1
