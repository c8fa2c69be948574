package x

a := http.send({"method": "get", "url": "http://x"})
# expect: 3:6
