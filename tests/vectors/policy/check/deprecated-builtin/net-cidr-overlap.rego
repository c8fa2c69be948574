package x

a if net.cidr_overlap("10.0.0.0/8", input.workspace)
# expect: 3:6
