# finding: 5: the safe profile does not allow `http.send`
package hostile

p if {
	r := http.send({"method": "get", "url": "http://169.254.169.254/"})
	r.status_code == 200
}
