"""What the profile refuses, by the code of the finding."""
from case import case

CASES = [
    case("an unknown builtin", 'x := nothing.of_that(1)', refused="profile/unknown-builtin"),
    case("a builtin that reads the network", 'x := http.send({"method": "get", "url": "http://127.0.0.1:1/"})', refused="profile/refused-builtin"),
    case("a builtin of chance", 'x := rand.intn("a", 5)', refused="profile/refused-builtin"),
    case("walk", "x := [p | walk(input, [p, _])]", refused="profile/refused-builtin"),
    case("print", "x if print(1)", refused="profile/refused-builtin"),
    case("too few arguments", "x := startswith(input.a)", refused="profile/wrong-arity"),
    case("an output argument", "x := n if count(input.xs, n)", input={"xs": [1]}, refused="profile/wrong-arity"),
    case("an unknown name", "x if nothing", refused="profile/unknown-name"),
    case("an unknown function", "package t\n\nimport data.t\n\nx := t.nothing(1)", refused="profile/"),
    case("a rule that is called", "x := y(1)\n\ny := 1", refused="profile/not-a-function"),
    case("recursion", "x := y\n\ny := x", refused="profile/recursion"),
    case("recursion of a function", "x := f(1)\n\nf(n) := f(n)", refused="profile/recursion"),
    case("a set without contains", "x[v] if some v in [1]", refused="profile/map-or-set"),
    case("a partial set in v0 style", "x[v] { v := 1 }", refused="profile/syntax"),
    case("a rule without if", "x { true }", refused="profile/syntax"),
    case("a template string", 'x := $"a {input.b}"', input={"b": 1}, refused="profile/syntax"),
    case("with in a policy", "x if y with input as {\"a\": 1}\n\ny := input.a", refused="profile/with-outside-test"),
    case("a variable that hides a rule", "x := [y | some y in [1]]\n\ny := 1", refused="profile/shadowing"),
    case("a rule that hides a builtin", "x := 1\n\ncount(_) := 7", refused="profile/hidden-builtin"),
    case("an import of everything", "package t\n\nimport data\n\nx := data.t.y\n\ny := 1", refused="profile/import"),
    case("a rule over a package", {"a.rego": "package t\n\nx := data.u.v", "b.rego": "package u\n\nv := 1", "c.rego": "package u.v\n\nw := 2"}, refused="profile/overlap"),
    case("a document over a package", "x := 1", data={"t": {"x": 2}}, refused="profile/overlap"),
    case("thirteen levels", "x := " + "[" * 13 + "]" * 13, refused="profile/nesting"),
    case("a number of a hundred digits", "x := " + "9" * 100, refused="profile/number"),
]
