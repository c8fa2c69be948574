package x

a if data.atb.poa.decision.allow with input as {}
# expect: 3:6
