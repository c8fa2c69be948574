# finding: 5: there is no function or builtin `http.send`
package hostile

p if {
	r := http.send({"method": "get", "url": "http://169.254.169.254/"})
	r.status_code == 200
}
