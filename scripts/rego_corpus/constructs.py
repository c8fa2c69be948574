"""Every construct of the profile: what Rego says about it, with undefined and mixed types at every position."""
from case import MIXED, case

CASES = []


def add(name, rego, **more):
    CASES.append(case(name, rego, **more))


# --- values -----------------------------------------------------------------------------------------------------------
for name, text in {
    "null": "null", "booleans": "[true, false]", "integers": "[0, -1, 9007199254740991]", "floats": "[1.5, -0.25, 1e3]",
    "a text": '"a\\n\\t\\"\\\\日"', "a raw text": "`a\\n\"b`", "an array": "[1, [2], []]", "an object": '{"a": {"b": 1}, "c": []}',
    "a set": '{1, 2, 1}', "an empty set": "set()", 
    "a set in a set": '{{1}, {2}}', "an object as a member of a set": '{{"a": 1}}', "trailing commas": '[1, 2,]',
    "a large integer": "12345678901234567890", "a negative float": "-1.5",
}.items():
    add(f"value: {name}", f"x := {text}")
for name, text in {
    "addition": "1 + 2", "of floats": "0.5 + 0.25", "subtraction": "5 - 7", "multiplication": "6 * 7", "division": "7 / 2",
    "exact division": "6 / 2", "division by zero": "1 / input.zero", "remainder": "7 % 3", "remainder of a negative": "-7 % 3",
    "remainder by zero": "7 % input.zero", "remainder of a float": "input.f % 2", "precedence": "2 + 3 * 4 - 6 / 2",
    "parentheses": "(2 + 3) * 4", "difference of sets": "{1, 2, 3} - {2}", "with a large integer": "9007199254740993 + 1",
    "beyond 64 bits": "9223372036854775807 + 1", "third": "1 / 3", "unary minus": "-input.one",
}.items():
    more = {"differs": "an error, so a denial"} if name in ("unary minus", "remainder of a float") else {}
    add(f"arithmetic: {name}", f"x := {text}", input={"zero": 0, "f": 1.5, "one": 1}, **more)
add("arithmetic over one of each kind", "x := {i | some i, v in input.values; is_number(v + 1)}", input={"values": MIXED},
    differs="arithmetic on what is not a number is an error, so a denial")
add("arithmetic over a text", "x := input.a + 1", input={"a": "1"}, differs="arithmetic on what is not a number is an error, so a denial")
add("arithmetic over null", "x := 1 * input.a", input={"a": None}, differs="arithmetic on what is not a number is an error, so a denial")
add("arithmetic over something missing", "x := input.a + 1")
add("arithmetic over numbers that were checked", "x := [w | some v in input.values; is_number(v); w := v + 1]", input={"values": MIXED})

# --- comparison -------------------------------------------------------------------------------------------------------
for op in ("==", "!=", "<", "<=", ">", ">="):
    add(f"comparison {op} over every pair of kinds",
        f"x := [[i, j] | some i, a in input.values; some j, b in input.values; a {op} b]", input={"values": MIXED})
    add(f"comparison {op} with something missing",
        f"x := {{\"left\": count([1 | left]), \"right\": count([1 | right]), \"both\": count([1 | both])}}\n\nleft if input.a {op} 1\n\nright if 1 {op} input.a\n\nboth if input.a {op} input.b")
    add(f"comparison {op} as a value", f"x := [1 {op} 2, \"a\" {op} \"a\", [1] {op} [1, 2], {{\"a\": 1}} {op} {{\"a\": 2}}, {{1}} {op} {{2}}]")
add("equality of numbers written differently", "x := [1 == 1.0, 1e2 == 100, -0 == 0]")
add("a sum of fractions", "x := 0.1 + 0.2 == 0.3", differs="fractions are binary here and decimal in OPA: compare amounts in minor units", ours="false")
add("unification of arrays", "x := [a, b] if [a, b] = [1, 2]", refused="profile/unknown-name")
add("unification of an object", 'x := a if {"k": a} = {"k": 7}', refused="profile/unknown-name")
add("unification that fails", "x := 1 if [1, 2] = [2, 1]")
add("unification of a variable with a call", "x := n if n = count(input.xs)", input={"xs": [1, 2]}, refused="profile/unknown-name")
add("unification with something missing", "x := n if n = input.missing", refused="profile/unknown-name")

# --- references and undefined -------------------------------------------------------------------------------------------
DOC = {"a": {"b": [10, 20, {"c": "d"}]}, "null": None, "false": False, "k": "a", "n": 1}
for name, text in {
    "by name": "input.a.b", "by index": "input.a.b[1]", "by text": 'input["a"]["b"][2].c', "by variable": "input[input.k].b[input.n]",
    "missing member": "input.zzz", "below a missing member": "input.zzz.y.x", "index out of range": "input.a.b[9]",
    "negative index": "input.a.b[-1]", "member of a number": "input.n.x", "member of null": "input[\"null\"].x", "null itself": "input[\"null\"]",
    "false itself": "input[\"false\"]", "text as an index": 'input.a.b["0"]', "number as a key": "input.a[0]", "by a missing name": "input[input.zzz]",
    "float index": "input.a.b[1.5]", "null as a key": "input[input[\"null\"]]",
}.items():
    add(f"reference: {name}", f"x := {text}", input=DOC)
    add(f"negated reference: {name}", f"x if not {text}", input=DOC)
    add(f"reference as a condition: {name}", f"x if {text}", input=DOC)
add("reference into data", 'x := [data.things.admin, data.things[input.r]]', input={"r": "user"}, data={"things": {"admin": 1, "user": 2}})
add("reference into data that is missing", "x := data.things.zzz", data={"things": {"admin": 1}})
add("negated reference into data that is missing", "x if not data.things[input.r]", data={"things": {"admin": 1}}, input={"r": "zzz"})
add("negated reference into data by something missing", "x if not data.things[input.r]", data={"things": {"admin": 1}})
add("undefined in an array", "x := [1, input.missing]")
add("undefined in an object", 'x := {"a": input.missing}')
add("undefined in a set", "x := {1, input.missing}")
add("undefined as a key", "x := {input.missing: 1}")
add("undefined as an argument", "x := count(input.missing)")
add("undefined in a comprehension's head", "x := [input.missing | true]")
add("undefined in a comprehension's body", "x := [1 | input.missing]")
add("undefined collection of some", "x := [v | some v in input.missing]")
add("undefined domain of every", "x if every v in input.missing { v > 0 }")
add("undefined domain of every, negated", "x if not y\n\ny if every v in input.missing { v > 0 }")
add("undefined in a membership", "x := [1 in input.missing]", refused="profile/membership-value")
add("undefined member of a membership", "x := [input.missing in [1]]", refused="profile/membership-value")
add("a membership as the value of a rule", "x := input.a in input.b", refused="profile/membership-value")
add("a membership that is assigned", "x := y if y := input.a in [1]", refused="profile/membership-value")
add("a membership of variables as a value", "x := y if {\n\ta := input.a\n\tb := input.b\n\ty := a in b\n}", input={"a": 1, "b": [1]})
add("undefined in a rule's value", "x := y\n\ny := input.missing")
add("undefined in an else", "x := 1 if input.missing else := 3")
add("undefined argument of a function", "x := f(input.missing)\n\nf(_) := 1")
add("undefined result of a function", "x := [f(1), f(2)]\n\nf(1) := 1")
add("undefined in an assignment's pattern", "x := a if [a, _] := input.missing")
add("false is not undefined", "x := y\n\ny := false")
add("a false condition", "x if input.f", input={"f": False})
add("null as a condition", "x if input.f", input={"f": None})
add("zero as a condition", "x if input.f", input={"f": 0})
add("an empty text as a condition", "x if input.f", input={"f": ""})

# --- rules ------------------------------------------------------------------------------------------------------------
add("a constant", "x := 1")
add("a rule without a value", "x if true")
add("a rule that does not hold", "x if false")
add("a default", "default x := 7\n\nx := 1 if input.a")
add("a default that is not needed", "default x := 7\n\nx := 1 if input.a", input={"a": True})
add("a default of a false rule", "default x := false\n\nx if input.a > 1", input={"a": "text"})
add("a default after an error of a builtin", "default x := 7\n\nx := to_number(input.a)", input={"a": "z"})
add("several bodies with one value", "x if input.a\n\nx if input.b", input={"b": True})
add("several bodies that agree", "x := 1 if input.a\n\nx := 1 if input.b", input={"a": True, "b": True})
add("a conflict", "x := 1 if input.a\n\nx := 2 if input.b", input={"a": True, "b": True})
add("a conflict of objects", "x[k] := v if {\n\tsome k in [\"a\"]\n\tsome v in [1, 2]\n}")
add("a conflict of a function", "x := f(1)\n\nf(_) := 1\n\nf(n) := 2 if n == 1")
add("else", "x := 1 if {\n\tinput.a\n} else := 2 if {\n\tinput.b\n} else := 3", input={"b": True})
add("else to the end", "x := 1 if {\n\tinput.a\n} else := 2 if {\n\tinput.b\n} else := 3")
add("else without a value", "x if {\n\tinput.a\n} else := false")
add("else after a loop", "x := 1 if {\n\tsome v in input.vs\n\tv > 5\n} else := 2", input={"vs": [1, 2]})
add("else after a loop that holds", "x := v if {\n\tsome v in input.vs\n\tv > 5\n} else := 2", input={"vs": [1, 9]})
add("else of a function", "x := [f(1), f(2), f(3)]\n\nf(n) := \"one\" if {\n\tn == 1\n} else := \"two\" if {\n\tn == 2\n} else := \"many\"")
add("else in two definitions", "x := [f(1), f(5)]\n\nf(n) := 1 if n == 1 else := 2 if n == 2\n\nf(n) := 5 if n == 5 else := 6 if n == 6")
add("else with a missing reference", "x := 1 if input.a.b.c else := 2")
add("else with a false condition", "x := 1 if 1 == 2 else := 2 if 2 == 3 else := 3 if 3 == 3")
add("a set by contains", "x contains v if some v in input.vs\n\nx contains 9", input={"vs": [1, 2, 1]})
add("an empty set by contains", "x contains v if some v in input.vs")
add("a set of objects by contains", 'x contains {"code": c} if some c in input.cs', input={"cs": ["b", "a"]})
add("a member of a set by contains", "x if y[\"a\"]\n\ny contains v if some v in input.vs", input={"vs": ["a"]})
add("a missing member of a set by contains", "x if not y[\"b\"]\n\ny contains v if some v in input.vs", input={"vs": ["a"]})
add("an object by key", "x[k] := v if some k, v in input.o", input={"o": {"a": 1, "b": 2}})
add("an object by two keys", 'x := y\n\ny.a.b := 1\n\ny.a.c := 2 if input.missing\n\ny.d := 3')
add("an object by a computed key below a name", "x := y\n\ny.a[k] := v if some k, v in input.o", input={"o": {"p": 1}})
add("a rule with a dotted name", "x := y.z\n\ny.z := 5")
add("a rule in brackets with a value", 'x := y\n\ny["a"] := 1\n\ny["b"] := 2')
add("a rule that reads another", "x := y + 1\n\ny := z * 2\n\nz := 3")
add("a package with a dotted name", "package a.b.c\n\nx := 1", query="a.b.c.x")
add("a rule's whole package", {"a.rego": "package t\n\nx := data.u", "b.rego": "package u\n\na := 1\n\nb contains 2\n\nc if false"})
add("functions are no part of a document", {"a.rego": "package t\n\nx := data.u", "b.rego": "package u\n\na := f(1)\n\nf(n) := n"})

# --- functions --------------------------------------------------------------------------------------------------------
add("a function", "x := f(2)\n\nf(n) := n * 2")
add("a function of two", "x := f(2, 3)\n\nf(a, b) := a - b")
add("a function without a value", "x := f(1)\n\nf(n) if n > 0")
add("a function that does not hold", "x := f(0)\n\nf(n) if n > 0")
add("a function with a literal argument", 'x := [f("a"), f("b")]\n\nf("a") := 1\n\nf("b") := 2')
add("a function with patterns", 'x := f([1, {"k": 2}])\n\nf([a, {"k": b}]) := a + b')
add("a function whose pattern does not fit", "x := f(input.a)\n\nf([a, b]) := a + b", input={"a": [1, 2, 3]})
add("a function with a wildcard", "x := f(1, 2)\n\nf(_, b) := b")
add("a function with a default", "default f(_) := 7\n\nf(n) := 1 if n == 1\n\nx := [f(1), f(2)]")
add("a function of another package", {"a.rego": "package t\n\nimport data.u\n\nx := u.f(1)", "b.rego": "package u\n\nf(n) := n + g(n)\n\ng(n) := n"})
add("a function over one of each kind", "x := {i: r | some i, v in input.values; r := f(v)}\n\nf(v) := \"number\" if is_number(v)\n\nf(v) := \"text\" if is_string(v)\n\nf(null) := \"null\"\n\nf(true) := \"true\"", input={"values": MIXED})
add("a function inside of a comprehension", "x := [f(v) | some v in [1, 2, 3]; f(v) > 2]\n\nf(n) := n * 2")
add("a function in a function's argument", "x := f(f(f(1)))\n\nf(n) := n + 1")
add("a negated function", "x if not f(1)\n\nf(n) if n > 5")
add("a negated function that holds", "x if not f(9)\n\nf(n) if n > 5")
add("a function that gives false", "x := f(1)\n\nf(_) := false")
add("a negated function that gives false", "x if not f(1)\n\nf(_) := false")
add("a function without a body", "x := f(3)\n\nf(n) := n")
add("a function fact of a literal", "x := [f(1), 2]\n\nf(1)\n", refused="profile/syntax")

# --- bodies -----------------------------------------------------------------------------------------------------------
add("several statements on one line", "x := a if { a := 1; a > 0; true }")
add("a comment at every place", "# a\nx := a if { # b\n\t# c\n\ta := 1 # d\n} # e")
add("an assignment in a body", "x := c if {\n\ta := 1\n\tb := a + 1\n\tc := a + b\n}")
add("statements in another order than they need", "x := c if {\n\tc = b + 1\n\tb = 1\n}", refused="profile/unknown-name")
add("a destructuring array", "x := b if [_, b] := [1, 2]")
add("a destructuring object", 'x := b if {"a": _, "b": b} := {"a": 1, "b": 2}')
add("a destructuring array of another length", "x := b if [_, b] := input.a", input={"a": [1, 2, 3]})
add("some in an array", "x := [v | some v in input.xs]", input={"xs": [3, 1, 3]})
add("some in a set", "x := [v | some v in {3, 1}]")
add("some in an object", "x := [v | some v in {\"a\": 1, \"b\": 2}]")
add("some with a key in an array", "x := [[i, v] | some i, v in [\"a\", \"b\"]]")
add("some with a key in a set", "x := [[i, v] | some i, v in {\"a\", \"b\"}]")
add("some with a key in an object", 'x := [[k, v] | some k, v in {"a": 1}]')
add("some with a pattern", 'x := [a | some {"a": a, "b": 1} in [{"a": 5, "b": 1}, {"a": 6, "b": 2}]]')
add("some with a literal pattern", 'x := [i | some i, "b" in ["a", "b", "b"]]')
add("some in null", "x := [v | some v in input.n]", input={"n": None}, differs="an error, so a denial")
add("some in a number", "x := [v | some v in input.n]", input={"n": 5}, differs="an error, so a denial")
add("some over one of each kind", "x := [[i, v] | some i, c in input.values; some v in c]", input={"values": MIXED}, differs="an error, so a denial")
add("two loops", "x := [[a, b] | some a in [1, 2]; some b in [3, 4]; a + b == 5]")
add("a loop in a loop", "x := [b | some a in [[1, 2], [3]]; some b in a]")
add("every", "x if every v in [1, 2] { v > 0 }")
add("every that fails", "x if every v in [1, 0] { v > 0 }")
add("every over nothing", "x if every v in [] { v > 0 }")
add("every with a key", 'x if every k, v in {"a": 1} { k == "a"; v == 1 }')
add("every over an object", 'x if every v in {"a": 1, "b": 2} { v > 0 }')
add("every over a set", "x if every v in {1, 2} { v > 0 }")
add("every in every", "x if every a in [[1], [2, 3]] { every b in a { b > 0 } }")
add("every with an outer variable", "x if {\n\tlimit := 3\n\tevery v in [1, 2] { v < limit }\n}")
add("every whose body is undefined once", "x if every v in [{\"a\": 1}, {}] { v.a == 1 }")
add("every over one of each kind", "x := [i | some i, c in input.values; every v in c { v == v }]", input={"values": MIXED})
add("membership", 'x := [1 in [1], 2 in [1], "a" in {"a"}, 1 in {"k": 1}]')
add("membership with a key", 'x := ["k", 1 in {"k": 1}]')
add("membership with a key, in parentheses", 'x := [("k", 1 in {"k": 1}), (0, "a" in ["a"]), (1, "a" in ["a"])]')
add("membership over one of each kind", "x := [[i, j] | some i, a in input.values; some j, b in input.values; a in b]", input={"values": MIXED})
add("a negated membership", "x if not 1 in [2]")
add("a negated membership of a set that a rule makes", "x if not \"a\" in y\n\ny contains \"b\"")
add("a negated statement", "x if not 1 == 2")
add("a negated rule", "x if not y\n\ny if false")
add("a negated rule with a value", "x if not y\n\ny := 5")
add("a negated false rule", "x if not y\n\ny := false")
add("a negated default", "x if not y\n\ndefault y := false\n\ny if input.a")
add("a double negation by rules", "x if not y\n\ny if not z\n\nz if input.a", input={"a": True})

# --- comprehensions ---------------------------------------------------------------------------------------------------
add("an array comprehension", "x := [w | some v in [1, 2, 3]; v > 1; w := v * 2]")
add("a set comprehension", "x := {w | some v in [1, 2, 3]; w := v % 2}")
add("an object comprehension", 'x := {k: w | some k, v in {"a": 1, "b": 2}; w := v + 1}')
add("an object comprehension with a conflict", 'x := {"k": v | some v in [1, 2]}')
add("an object comprehension with equal values", 'x := {"k": 1 | some _ in [1, 2]}')
add("a comprehension in a comprehension", "x := [[b | some b in a; b > 1] | some a in [[1, 2], [3]]]")
add("a comprehension with an outer variable", "x := y if {\n\tn := 2\n\ty := [v | some v in [1, 2, 3]; v > n]\n}")
add("an empty comprehension", "x := [[v | some v in input.n], {v | some v in input.n}, {v: 1 | some v in input.n}]", input={"n": []})
add("a comprehension as an argument", "x := count({v | some v in [1, 1, 2]})")
add("a comprehension with a negation", "x := [v | some v in [1, 2]; not v == 1]")
add("a comprehension with a call", "x := {upper(v) | some v in [\"a\", \"b\"]}")
add("a comprehension compared", "x if [v | some v in [1]] == [1]")
add("a comprehension with every", "x := [g | some g in [[1, 2], [0]]; every v in g { v > 0 }]")

# --- imports and packages ---------------------------------------------------------------------------------------------
add("an import", {"a.rego": "package t\n\nimport data.u\n\nx := u.y", "b.rego": "package u\n\ny := 5"})
add("an import with an alias", {"a.rego": "package t\n\nimport data.u as other\n\nx := other.y", "b.rego": "package u\n\ny := 5"})
add("an import of a rule", {"a.rego": "package t\n\nimport data.u.y\n\nx := y", "b.rego": "package u\n\ny := 5"})
add("an import of the input", "package t\n\nimport input.a\n\nx := a.b", input={"a": {"b": 1}})
add("an import of rego.v1", "package t\n\nimport rego.v1\n\nx := 1 if true")
add("an import of future keywords", "package t\n\nimport future.keywords.if\nimport future.keywords.in\n\nx if 1 in [1]")
for rule, given in (("denied", {"bad": True}), ("denied", {}), ("denied", {"worse": True})):
    add(f"allow if not denied over three files, input {given}", {
        "a.rego": "package t\n\nimport data.u\n\ndefault x := false\n\nx if not u.denied",
        "b.rego": "package u\n\ndenied if input.bad", "c.rego": "package u\n\ndenied if input.worse",
    }, input=given)
    add(f"a package over two files as a document, input {given}", {
        "a.rego": "package t\n\nx := data.u", "b.rego": "package u\n\ny if input.bad", "c.rego": "package u\n\nz if not y",
    }, input=given)
    add(f"a set over three files, input {given}", {
        "a.rego": "package t\n\nx := count(data.u.deny)", "b.rego": "package u\n\ndeny contains 1 if input.bad", "c.rego": "package u\n\ndeny contains 2 if input.worse",
    }, input=given)
    add(f"allow beside deny in one package over two files, input {given}", {
        "a.rego": "package t\n\ndefault x := false\n\nx if count(deny) == 0", "b.rego": "package t\n\ndeny contains \"bad\" if input.bad\n\ndeny contains \"worse\" if input.worse",
    }, input=given)
add("a package below another", {"a.rego": "package t\n\nx := data.u.v.y", "b.rego": "package u\n\nz := 1", "c.rego": "package u.v\n\ny := data.u.z"})

# --- lines and layout -------------------------------------------------------------------------------------------------
add("a line that starts with a parenthesis", "x := a if {\n\ta := input.n\n\t(a + 1) > 2\n}", input={"n": 5})
add("a line that starts with a parenthesis, and does not hold", "x := a if {\n\ta := input.n\n\t(a + 1) > 2\n}", input={"n": 0})
add("a line that starts with a parenthesis behind a call", "x := a if {\n\ta := count(input.n)\n\t(a + 1) > 2\n}", input={"n": [1, 2]})
add("a line that starts with a bracket", "x := a if {\n\ta := input.n\n\t[1, 2][0] == 1\n}", input={"n": 5})
add("a line that starts with an array", "x := a if {\n\tb := input.n\n\t[a, _] := b\n}", input={"n": [1, 2]})
add("a line that starts with a brace", 'x := a if {\n\tb := input.n\n\t{"k": a} = b\n}', input={"n": {"k": 1}}, refused="profile/unknown-name")
add("a line that starts with a minus, which OPA joins too", "x := a if {\n\ta := input.n\n\t-1 < a\n}", input={"n": 5})
add("a line that starts with a parenthesis in a comprehension", "x := [a |\n\tsome a in input.n\n\t(a + 1) > 2\n]", input={"n": [1, 5]})
add("a call over several lines", "x := concat(\n\t\",\",\n\t[\n\t\t\"a\",\n\t\t\"b\",\n\t],\n)")
add("an operator at the end of a line", "x := 1 +\n\t2")
add("a body on one line", "x if { input.a; input.b }", input={"a": 1, "b": 1})
add("a chained body", "x := 1 if {\n\tinput.a\n} {\n\tinput.b\n}", input={"b": True})
add("a chained body of a function", "x := [f(1), f(2), count([1 | f(3)])]\n\nf(n) := 5 if {\n\tn == 1\n} {\n\tn == 2\n}")
add("a chained body of a set", "x contains v if {\n\tv := 1\n} {\n\tv := 2\n}")
add("three chained bodies", "x if {\n\tinput.a\n} {\n\tinput.b\n} {\n\tinput.c\n}", input={"c": True})

# --- some without in --------------------------------------------------------------------------------------------------
add("some x", "x := [v | some i; v := input.xs[i]]", input={"xs": [1, 2]})
add("some x, y", "x := [[i, j] | some i, j; input.xs[i] == input.ys[j]]", input={"xs": [1, 2], "ys": [2, 1]})
add("some i; …; some j", "x := [[i, j] | some i; input.xs[i] > 1; some j; input.ys[j] > 1]", input={"xs": [1, 2], "ys": [2, 1]})
add("some i in a rule", "x if {\n\tsome i\n\tinput.xs[i] == 2\n}", input={"xs": [1, 2]})
add("a wildcard reference", "x if input.xs[_] == 2", input={"xs": [1, 2]})
add("a wildcard reference that fails", "x if input.xs[_] == 9", input={"xs": [1, 2]})
add("two wildcards", "x := [v | v := input.xs[_][_]]", input={"xs": [[1], [2, 3]]})

# --- negation over what may be missing ----------------------------------------------------------------------------------
for name, text in {
    "comparison over the input": "not input.a > 1", "call over the input": "not f(input.a)", "membership of the input": "not input.a in [1]",
    "membership in the input": "not 1 in input.a", "call of a call": "not f(g(input.a))", "builtin over the input": "not startswith(input.a, \"x\")",
    "comparison over a rule": "not gone > 1", "call over a rule": "not f(gone)", "membership in a rule's document": "not 1 in doc.zzz",
    "member of a rule's document": "not doc.zzz == 1", "member of a rule's document, which is there": "not doc.a == 2",
    "arithmetic": "not input.a + 1 > 1", "index by the input": "not doc[input.a]", "index by the input in a comparison": "not doc[input.a] == 1",
    "member of data": "not data.things.zzz == 1", "an array of the input": "not [input.a] == [1]", "count": "not count(input.a) > 1",
    "nested call that is undefined": "not count(lower(input.a)) > 1", "comprehension": "not count([1 | input.a]) > 0",
}.items():
    for given in ({}, {"a": 5}, {"a": "text"}):
        add(f"negated {name}, input {given}", f"x if {text}\n\nf(v) if v == 1\n\ngone := input.gone\n\ng(v) := v if v == 5\n\ndoc := object.union({{\"a\": 1}}, object.get(input, \"more\", {{}}))", input=given, data={"things": {"admin": 1}},
            differs="arithmetic on what is not a number is an error, so a denial" if (name, given) == ("arithmetic", {"a": "text"}) else None)
add("negated member of a variable", "x if {\n\tv := input.v\n\tnot v.zzz == 1\n}", input={"v": {"a": 1}})
add("negated membership in a member of a variable", "x if {\n\tv := input.v\n\tnot 2 in v.zzz\n}", input={"v": {"a": [1]}})
add("negated member of a loop's variable", "x := [v.n | some v in input.vs; not v.a > 1]", input={"vs": [{"n": 1, "a": 5}, {"n": 2}, {"n": 3, "a": 0}]})
add("negated call over a loop's variable", "x := [v.n | some v in input.vs; not f(v.a)]\n\nf(v) if v > 1", input={"vs": [{"n": 1, "a": 5}, {"n": 2}, {"n": 3, "a": 0}]})
add("negated inside of every", "x if every v in input.vs { not v.a > 1 }", input={"vs": [{"a": 0}, {}]})
add("negated in else", "x := 1 if {\n\tinput.z\n} else := 2 if {\n\tnot input.y > 1\n} else := 3")

# --- an else that leaves its value out -------------------------------------------------------------------------------------
add("else without a value, of a function whose head has one", "x := [f(1), f(2), f(3)]\n\nf(n) := 5 if n == 1\n\nelse if n == 2\n\nelse := 6")
add("else without a value behind one with a value", "x := [f(1), f(2), f(3)]\n\nf(n) := 5 if {\n\tn == 1\n} else := 6 if {\n\tn == 2\n} else if {\n\tn == 3\n}")
add("negated call that only an else without a value answers", "x if not f(2)\n\nf(n) := true if n == 1\n\nelse if n == 2")
add("else without a value, of a rule whose head has one", "x := 5 if input.a\n\nelse if input.b", input={"b": True})

# --- characters outside of the first plane ---------------------------------------------------------------------------------
add("count of characters that are two units in UTF-16", "x := [count(v) | some v in input.vs]", input={"vs": ["\U0001f600\U0001f600", "e\u0301", "\u00e9", ""]})
