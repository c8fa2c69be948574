# finding: 4: the rule hides the builtin `is_string`
package hostile

is_string(_) := true
