package x

a if data.catalogue[input.poa.act].bind_request == "yes"
# expect: 3:6
