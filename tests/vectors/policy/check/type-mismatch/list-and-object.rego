package x

a if input.approvals == {}
# expect: 3:6
