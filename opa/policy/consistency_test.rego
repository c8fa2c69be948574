# A decision has three ways to its answer: gates, findings and long forms. Each input here must get the same answer on
# all of them, whatever that answer is; what the answer must be is said by the tests of each file.
package atb_test

same_ways(ways, doc) if {
	ways.decision.allow == ways.unfound
	ways.decision.allow == ways.held
	found := {finding_shown(finding, doc) | some finding in ways.findings}
	found == {[violation.rule, violation.pointer] | some violation in ways.decision.violations}
}

# Rows of an input and the reason of its decision, in one world: a call that is so on every way, or a draft.
decided(there, rows) if decided_as("ways of a call", there, rows)

drafted(there, rows) if decided_as("ways of a draft", there, rows)

decided_as(question, there, rows) if {
	ways := ask_each(question, [row[0] | some row in rows], there)
	[one.decision.reason | some one in ways] == [row[1] | some row in rows]
	every i, row in rows { same_ways(ways[i], row[0]) }
}

# A decision says which end of the time is wrong.
finding_shown(finding, doc) := finding if finding[0] != "mandate_time"

else := ["mandate_time", "/poa/nbf"] if doc.time < doc.poa.nbf

else := ["mandate_time", "/poa/exp"]
