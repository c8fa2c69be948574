package x

a := time.parse_ns("2006", input.workspace)
# expect: 3:6
