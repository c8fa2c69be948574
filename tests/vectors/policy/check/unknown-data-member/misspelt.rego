package x

a := data.catalogue[input.poa.act].teir
# expect: 3:36
