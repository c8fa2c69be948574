package x

a := rand.intn(input.workspace, 10)
# expect: 3:6
