package x

a[x] if some x in input.approvals
# expect: 3:1
