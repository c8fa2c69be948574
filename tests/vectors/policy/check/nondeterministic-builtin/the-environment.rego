package x

a := opa.runtime()
# expect: 3:6
