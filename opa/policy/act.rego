# Acts (owner: agentauth)
#
# Finds the act of the mandate in the catalogue, its tier in the table of tiers, and says whether a list of act
# patterns covers an act. Everything is a lookup by key, so the number of acts does not change the cost.

package atb

# METADATA
# title: Name of the act
# description: The mandate's; the call's where there is no mandate and none is asked for.
act_name := name if {
	name := input.poa.act
} else := input.request.act if unmandated

# METADATA
# title: Catalogue entry
# description: Undefined for an act that the catalogue does not list; an undefined entry can only deny.
act_entry := entry if {
	entry := data.catalogue[input.poa.act]
} else := data.catalogue[input.request.act] if unmandated

# METADATA
# title: Catalogue entry, empty for an unknown act
default act_listed := {}

act_listed := act_entry

# METADATA
# title: Row of the act's tier
# description: Approvals, roles, ticket and time limits that the tier asks for.
act_grade := data.tiers[act_entry.tier]

# METADATA
# title: Longest life of a mandate for this act, in seconds
# description: The tier's cap, or the act's own where that is shorter.
default act_cap := 0

act_cap := min([act_grade.max_ttl_seconds, object.get(act_entry, "max_ttl_seconds", act_grade.max_ttl_seconds)])

# METADATA
# title: Tier for the decision document
# description: The catalogue's tier; null for an unknown act. Never what the caller says.
default act_tier := null

act_tier := act_entry.tier

# METADATA
# title: Does a list of patterns cover this act
# description: >-
#   A pattern is an exact act, a family that ends in a dot and a star, or a star alone. The candidates are looked up
#   in the list, the list is not gone through.
act_covers(patterns) if "*" in patterns

else if act_name in patterns

else if {
	parts := split(act_name, ".")
	concat("", [parts[0], ".*"]) in patterns
}

else if {
	parts := split(act_name, ".")
	some depth in [2, 3, 4]
	depth < count(parts)
	concat("", [concat(".", array.slice(parts, 0, depth)), ".*"]) in patterns
}
