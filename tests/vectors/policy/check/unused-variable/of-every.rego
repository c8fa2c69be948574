package x

a if every x in input.approvals { input.time > 0 }
# expect: 3:12
