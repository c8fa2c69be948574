package x

a := concat("", input.agent)
# expect: 3:17
