package x

a if data.catalogue[input.poa.act].tier == "hihg"
# expect: 3:44
