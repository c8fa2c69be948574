package x

a := input.poa.leg.template.name
# expect: 3:29
