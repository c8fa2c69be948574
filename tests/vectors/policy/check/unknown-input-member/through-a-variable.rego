package x

a := p.subject if p := input.poa
# expect: 3:8
