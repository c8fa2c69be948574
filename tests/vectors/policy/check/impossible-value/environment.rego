package x

a if input.environment != "prod"
# expect: 3:27
