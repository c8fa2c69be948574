package x

a := graphql.is_valid(input.workspace, "")
# expect: 3:6
