package x

a := [1 | [_, _] := walk(input.poa)]
# expect: 3:21
