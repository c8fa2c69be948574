package x

a := net.lookup_ip_addr(input.workspace)
# expect: 3:6
