package x

a if {
	some id, who in data.approvers
	id != ""
	who.level == 1
}
# expect: 6:6
