package x

a := entry.operater

entry := data.agents[input.poa.sub]
# expect: 3:12
