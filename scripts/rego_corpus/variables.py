"""Variables that `some x` declares without `in`: what binds them, in every place and order."""
from case import case
INPUT = {
    "arr": [1, 2, 3, 1],
    "objs": [{"id": 1, "v": "a"}, {"id": 2, "v": "b"}],
    "m": {"a": 1, "b": 2},
    "nest": {"x": [1, 2], "y": [3]},
    "s": "str",
    "n": 5,
    "names": ["a", "b"],
}
DATA = {"d": {"p": [1, 2], "q": [3]}, "e": {"f": [False, None, 0, ""]}}
HELPERS = """package t

import data.d as imp

set1 contains x if some x in input.arr

obj1[k] := v if some k, v in input.m

obj2[k] := v if some k, v in input.nest

pairs contains [1, 2]

pairs contains [3, 4]

f(x) := x + 1

bad(i) if i > 1

"""
OTHER = "package u\n\nr1 := 7\n\nr2 := 8\n"


def over(name, rego, **more):
    """A rule `out` beside the helpers."""
    modules = {"a.rego": HELPERS + rego, "b.rego": OTHER}
    return case("some: " + name, modules, query="t.out", input=INPUT, data=DATA, **more)


# Bodies, each for a rule that is true.
BODIES = {
    "index eq": 'some i\n\tinput.arr[i] == 1',
    "index bind": 'some i\n\tx := input.arr[i]\n\tx > 1',
    "two idx": 'some i, j\n\tinput.arr[i] == input.arr[j]\n\ti != j',
    "chain idx": 'some k, i\n\tinput.nest[k][i] == 3',
    "obj key": 'some k\n\tinput.m[k] == 2',
    "eq bind": 'some x\n\tx = input.n\n\tx > 3',
    "eq bind rev": 'some x\n\tinput.n = x\n\tx > 3',
    "eq bind undefined": 'some x\n\tx = input.zz\n\tx > 3',
    "used before": 'some x\n\tx > 3\n\tx = input.n',
    "index used before": 'some i\n\ti > 1\n\tinput.arr[i]',
    "pattern": 'some a, b\n\t[a, b] = input.names\n\ta == "a"',
    "pattern lit": 'some b\n\t["a", b] = input.names\n\tb == "b"',
    "pattern obj": 'some v\n\t{"id": 1, "v": v} = input.objs[_]\n\tv == "a"',
    "not with idx": 'some i\n\tinput.arr[i]\n\tnot input.arr[i] == 1',
    "not only": 'some i\n\tnot input.arr[i] == 1',
    "unused": 'some i\n\tinput.n == 5',
    "unbound": 'some i\n\ti == input.n',
    "unbound2": 'some i\n\ti > 1',
    "twice": 'some i\n\tinput.arr[i] == 2\n\tinput.names[i] == "b"',
    "null index": 'some i\n\tinput.s[i]',
    "number": 'some i\n\tinput.n[i]',
    "missing": 'some i\n\tinput.zz[i]',
    "some late": 'input.n == 5\n\tsome i\n\tinput.arr[i] == 3',
    "some then in": 'some i\n\tinput.arr[i] == 3\n\tsome j in input.names\n\tj == "b"',
    "compr inside": 'some i\n\tys := [y | y := input.arr[i]]\n\tcount(ys) == 1',
    "compr closes over": 'some i\n\tinput.arr[i] == 2\n\tys := [y | some y in input.arr; y > i]\n\tcount(ys) == 2',
    "some in compr": 'ys := [i | some i; input.arr[i] == 1]\n\tys == [0, 3]',
    "some in set compr": 'ys := {i | some i; input.arr[i] == 1}\n\tcount(ys) == 2',
    "some in obj compr": 'ys := {k: v | some k; v := input.m[k]}\n\tys.a == 1',
    "shadow outer in compr": 'some i\n\tinput.arr[i] == 2\n\tys := [i | some i; input.arr[i] == 1]\n\tys == [0, 3]',
    "in every domain": 'some k\n\tevery x in input.nest[k] { x > 2 }',
    "func call": 'some i\n\tf(input.arr[i]) == 4',
    "func call idx": 'some i\n\tstartswith(input.names[i], "b")',
    "builtin out": 'some i, x\n\tx = upper(input.names[i])\n\tx == "B"',
    "rule set ref": 'some x\n\tset1[x]\n\tx > 1',
    "rule set ref eq": 'some x\n\tset1[x] == 2',
    "rule obj ref": 'some k\n\tobj1[k] == 2',
    "rule obj ref deep": 'some k, i\n\tobj2[k][i] == 3',
    "data": 'some k, i\n\tdata.d[k][i] == 3',
    "data pkg": 'some r\n\tdata.u[r] == 7',
    "key from in": 'some k in input.names\n\tsome i\n\tinput.names[i] == k\n\ti == 1',
    "member of": 'some i\n\tinput.arr[i] in {2}',
    "idx expr": 'some i\n\tinput.arr[i + 0] == 1',
    "idx arith": 'some i\n\tinput.arr[i]\n\tinput.arr[i + 1] == 2',
    "idx arith first": 'some i\n\tinput.arr[i + 1] == 2\n\tinput.arr[i]',
    "idx order": 'some i\n\tinput.names[i] == "b"\n\tinput.arr[i] == 2',
    "dot after": 'some i\n\tinput.objs[i].id == 2',
    "dot after bind": 'some i, o\n\to = input.objs[i]\n\to.id == 2',
    "two eq": 'some x, y\n\tx = y\n\ty = 5\n\tx == 5',
    "eq idx": 'some i, x\n\tinput.arr[i] = x\n\tx == 3',
    "eq idx lit": 'some i\n\tinput.arr[i] = 3',
    "eq obj": 'some i\n\tinput.objs[i] = {"id": 1, "v": "a"}',
    "eq array lit right": 'some x\n\t[1, x] = [1, 2]\n\tx == 2',
    "eq array both": 'some x, y\n\t[1, x] = [y, 2]\n\tx == 2\n\ty == 1',
    "redeclare": 'some i\n\tinput.arr[i] == 1\n\tsome i\n\tinput.arr[i] == 2',
    "assign some": 'some i\n\ti := 1\n\tinput.arr[i] == 2',
    "key is var value": 'some i\n\tinput.m[input.names[i]] == 2',
    "key is var value deep": 'some i\n\tk := input.names[i]\n\tinput.m[k] == 2',
    "neg nested": 'some i\n\tinput.arr[i] > 0\n\tnot bad(i)',
    "neg set": 'some i\n\tx := input.arr[i]\n\tnot set1[x]',
    "walk set elements": 'some x\n\tset1[x]\n\tset1[x]',
    "set of arrays": 'some y\n\tpairs[[1, y]]\n\ty == 2',
    "array in index set": 'some x, y\n\tpairs[[x, y]]\n\tx == 3',
    "obj idx array": 'some i\n\tinput.arr[i] == input.m.a',
    "falsy elements": 'some i\n\tdata.e.f[i]',
    "falsy bound": 'some i, x\n\tx = data.e.f[i]\n\tx == false',
    "false idx": 'some i\n\tdata.e.f[i] == false',
    "null eq": 'some i\n\tdata.e.f[i] == null',
    "if either": 'some i\n\tinput.arr[i] == 9',
    "parens": 'some i\n\t(input.arr[i] == 2)',
    "unify var arith": 'some x\n\tx + 1 == 3\n\tx = input.arr[_]',
    "unify arith": 'some x\n\tx + 1 = 3',
    "wild": 'some i\n\tinput.nest[_][i] == 3',
    "wild2": 'some i\n\tinput.nest[i][_] == 3',
    "shadow rule": 'some set1\n\tinput.arr[set1] == 1',
    "shadow import": 'some imp\n\tinput.arr[imp] == 1',
    "sum": 'some i\n\tinput.arr[i] + input.arr[i] == 6',
    "set lit": 'some x\n\t{1, 2, 3}[x] == 2',
    "arr lit": 'some x\n\t[1, 2, 3][x] == 2',
    "obj lit": 'some x\n\t{"a": 5}[x] == 5',
    "set compr idx": 'some x\n\t{y | some y in input.arr}[x]\n\tx > 2',
    "local idx": 'some i\n\txs := input.arr\n\txs[i] == 3',
    "local idx before": 'some i\n\txs[i] == 3\n\txs := input.arr',
    "count call idx": 'some i\n\tcount(input.names[i]) == 1',
    "neq": 'some i\n\tinput.names[i] != "a"',
    "lt": 'some i\n\tinput.arr[i] < input.n',
    "type mix": 'some i\n\tinput.arr[i] < "a"',
    "deep func": 'some i\n\tx := concat("", [input.names[i], "z"])\n\tx == "bz"',
    "object value var": 'some k, v\n\tinput.m[k] = v\n\tobj := {k: v}\n\tobj == {"b": 2}',
    "input root idx": 'some k\n\tinput[k] == 5',
    "data root idx": 'some k\n\tdata.d[k][0] == 1',
}

# Rules.
RULES = {
    "sibling comprs": 'out := [xs, ys] if {\n\txs := [i | some i; input.arr[i] == 1]\n\tys := [i | some i; input.names[i] == "b"]\n}',
    "two bodies": 'out contains i if {\n\tsome i\n\tinput.arr[i] == 1\n}\nout contains i if {\n\tsome i\n\tinput.arr[i] == 2\n}',
    "compr before bind": 'out contains [i, ys] if {\n\tsome i\n\tys := [y | y := input.nest.x[i]]\n\tinput.arr[i] == 2\n}',
    "compr before bind2": 'out contains [i, ys] if {\n\tsome i\n\tys := [y | some y in input.arr; y > i]\n\tinput.arr[i] == 2\n}',
    "count compr before bind": 'out contains i if {\n\tsome i\n\tcount([y | some y in input.arr; y > i]) == 2\n\tinput.arr[i] == 2\n}',
    "every before bind": 'out contains i if {\n\tsome i\n\tevery y in [3, 4] { y > input.arr[i] }\n\tinput.arr[i] == 2\n}',
    "every before bind2": 'out contains i if {\n\tsome i\n\tevery y in [3, 4] { y > i }\n\tinput.arr[i] == 2\n}',
    "not before bind": 'out contains i if {\n\tsome i\n\tnot bad(i)\n\tinput.arr[i] > 0\n}',
    "not before bind 2": 'out contains i if {\n\tsome i\n\tnot i > 1\n\tinput.arr[i] > 0\n}',
    "not before bind 3": 'out contains i if {\n\tsome i\n\tnot set1[i]\n\tinput.arr[i] > 0\n}',
    "not before bind 4": 'out contains i if {\n\tsome i\n\tnot input.arr[i] == 1\n\tinput.arr[i] > 0\n}',
    "not missing": 'out contains i if {\n\tsome i\n\tinput.arr[i]\n\tnot input.names[i]\n}',
    "not missing eq": 'out contains i if {\n\tsome i\n\tinput.arr[i]\n\tnot input.names[i] == "a"\n}',
    "compr shadows by in": 'out contains [i, ys] if {\n\tsome i\n\tinput.arr[i] == 2\n\tys := [i | some i in input.arr]\n}',
    "compr shadows by assign": 'out contains [i, ys] if {\n\tsome i\n\tinput.arr[i] == 2\n\tys := [i | i := 7]\n}',
    "compr shadows by in key": 'out contains [i, ys] if {\n\tsome i\n\tinput.arr[i] == 2\n\tys := [i | some i, _ in input.arr]\n}',
    "every shadows": 'out contains i if {\n\tsome i\n\tinput.arr[i] == 2\n\tevery i in [7] { i > 6 }\n}',
    "in shadowed by some": 'out contains [i, ys] if {\n\tsome i in [5]\n\tys := [i | some i; input.arr[i] == 1]\n}',
    "assign shadowed by some": 'out contains [i, ys] if {\n\ti := 5\n\tys := [i | some i; input.arr[i] == 1]\n}',
    "arg shadowed by some": 'g(i) := ys if {\n\tys := [i | some i; input.arr[i] == 1]\n}\nout := g(5)',
    "inner name used outside": 'out contains ys if {\n\tys := [i | some i; input.arr[i] == 1]\n\tnot i == 3\n}',
    "in coll": 'out contains [k, x] if {\n\tsome k\n\tsome x in input.nest[k]\n}',
    "every domain": 'out contains k if {\n\tsome k\n\tevery x in input.nest[k] { x > 2 }\n}',
    "every domain bound": 'out contains k if {\n\tsome k\n\tinput.nest[k]\n\tevery x in input.nest[k] { x > 2 }\n}',
    "every domain bound after": 'out contains k if {\n\tsome k\n\tevery x in input.nest[k] { x > 2 }\n\tinput.nest[k]\n}',
    "member coll": 'out contains k if {\n\tsome k\n\t3 in input.nest[k]\n}',
    "head object": 'out[k] := v if {\n\tsome k\n\tv := input.m[k]\n}',
    "head object eq": 'out[k] := v if {\n\tsome k, v\n\tinput.m[k] = v\n}',
    "head object conflict": 'out[v] := i if {\n\tsome i\n\tv := input.arr[i]\n}',
    "complete conflict": 'out := i if {\n\tsome i\n\tinput.arr[i] == 1\n}',
    "head array": 'out := [i, j] if {\n\tsome i, j\n\tinput.arr[i] == 3\n\tinput.names[j] == "b"\n}',
    "head idx": 'out := input.arr[i] if {\n\tsome i\n\tinput.names[i] == "b"\n}',
    "head compr": 'out := [j | some j; input.arr[j] == k] if {\n\tsome k\n\tinput.arr[k] == 2\n}',
    "func result": 'g(x) := i if {\n\tsome i\n\tinput.names[i] == x\n}\nout := g("b")',
    "func conflict": 'g(x) := i if {\n\tsome i\n\tinput.arr[i] == x\n}\nout := g(1)',
    "func over arg": 'g(xs) if {\n\tsome i\n\txs[i] > 2\n}\nout := [g(input.arr), g([])]',
    "func over arg2": 'g(xs) if {\n\tsome i\n\txs[i] > 2\n}\nout contains k if {\n\tsome k\n\tg(input.nest[k])\n}',
    "arg in nested": 'g(xs, n) := [i | some i; xs[i] == n]\nout := g(input.arr, 1)',
    "else chain": 'out := i if {\n\tsome i\n\tinput.arr[i] == 9\n} else := j if {\n\tsome j\n\tinput.arr[j] == 3\n}',
    "circular": 'out if {\n\tsome x, y\n\tx = y\n\ty = x\n}',
    "circular idx": 'out if {\n\tsome i, j\n\tinput.arr[i + j]\n}',
    "dependent idx": 'out contains [i, j] if {\n\tsome i, j\n\tinput.arr[i] = j\n\tinput.names[j]\n}',
    "dependent idx rev": 'out contains [i, j] if {\n\tsome i, j\n\tinput.names[j]\n\tinput.arr[i] = j\n}',
    "eq of var with var": 'out contains [i, j] if {\n\tsome i, j\n\tinput.arr[i]\n\ti = j\n}',
    "eq nested pattern": 'out contains [a, b] if {\n\tsome a, b\n\t[[a], {"k": b}] = [[1], {"k": 2}]\n}',
    "eq pattern mismatch": 'out contains a if {\n\tsome a\n\t[a, 5] = input.names\n}',
    "eq pattern type": 'out contains a if {\n\tsome a\n\t[a] = input.m\n}',
    "eq pattern bound": 'out contains a if {\n\tsome a\n\tx := 1\n\t[a, x] = [5, 1]\n}',
    "eq pattern bound no": 'out contains a if {\n\tsome a\n\tx := 2\n\t[a, x] = [5, 1]\n}',
    "eq same var twice": 'out contains a if {\n\tsome a\n\t[a, a] = [5, 5]\n}',
    "eq same var twice no": 'out contains a if {\n\tsome a\n\t[a, a] = [5, 6]\n}',
    "eq call": 'out contains a if {\n\tsome a\n\ta = f(3)\n}',
    "eq call undefined": 'out contains a if {\n\tsome a\n\ta = bad(0)\n}',
    "eq call false": 'out contains a if {\n\tsome a\n\ta = startswith("a", "b")\n}',
    "eq compr": 'out contains a if {\n\tsome a\n\ta = [x | some x in input.arr]\n}',
    "eq bool expr": 'out contains a if {\n\tsome a\n\ta = (1 == 2)\n}',
    "eq in not": 'out if {\n\tx := 5\n\tnot x = 6\n}',
    "idx eq idx": 'out contains [i, j] if {\n\tsome i, j\n\tinput.arr[i] = input.nest.x[j]\n}',
    "set element lookup": 'out contains x if {\n\tsome x\n\tset1[x]\n\tinput.arr[x] == 3\n}',
    "set element lookup rev": 'out contains x if {\n\tsome x\n\tinput.arr[x] == 3\n\tset1[x]\n}',
    "set non-member": 'out contains x if {\n\tsome x\n\tset1[x] = 9\n}',
    "float idx": 'out contains x if {\n\tx := 1.0\n\tinput.arr[x]\n}',
    "nested some": 'out contains i if {\n\tsome i\n\tinput.arr[i] == 1\n\tcount([j | some j; input.arr[j] == input.arr[i]]) == 2\n}',
    "nested deep": 'out := {k: vs | some k; vs := {i: n | some i; n := count([j | some j; input.nest[k][j] >= input.nest[k][i]])}}',
    "nested deep2": 'out := {k: vs | some k; input.nest[k]; vs := {i: n | some i; input.nest[k][i]; n := count([j | some j; input.nest[k][j] >= input.nest[k][i]])}}',
    "some in every body": 'out if {\n\tevery x in [1, 2] {\n\t\tsome i\n\t\tinput.arr[i] == x\n\t}\n}',
    "some in every body no": 'out if {\n\tevery x in [1, 9] {\n\t\tsome i\n\t\tinput.arr[i] == x\n\t}\n}',
    "not rule with some": 'g(x) if {\n\tsome i\n\tinput.arr[i] == x\n}\nout contains x if {\n\tsome x in [1, 9]\n\tnot g(x)\n}',
    "wild with some": 'out contains k if {\n\tsome k\n\tinput.nest[k][_] > 2\n}',
    "obj of obj": 'out contains [a, b] if {\n\tsome a, b\n\tobj2[a][b] > 1\n}',
    "missing rule elem": 'out contains k if {\n\tsome k\n\tobj1[k] > 1\n\tinput.zz[k]\n}',
    "data other pkg": 'out contains [r, v] if {\n\tsome r\n\tv := data.u[r]\n}',
    "import": 'out contains [k, i] if {\n\tsome k, i\n\timp[k][i] > 1\n}',
    "object key bound str": 'out contains i if {\n\tsome i\n\tk := "a"\n\tinput.m[k] == input.arr[i]\n}',
    "member key": 'out contains i if {\n\tsome i\n\ti, 2 in input.arr\n}',
    "some member": 'out contains i if {\n\tsome i\n\tinput.arr[i] in [2, 3]\n}',
    "object with some key in": 'out contains [k, i] if {\n\tsome k, xs in input.nest\n\tsome i\n\txs[i] > 1\n}',
    "string format": 'out contains m if {\n\tsome i\n\tinput.arr[i] > 2\n\tm := sprintf("%d", [input.arr[i]])\n}',
    "unary": 'out contains i if {\n\tsome i\n\t-input.arr[i] == -2\n}',
    "false value": 'out contains i if {\n\tsome i\n\tx := data.e.f[i]\n\tis_boolean(x)\n}',
    "array lit with idx": 'out contains x if {\n\tsome i\n\tx := [input.arr[i], i]\n}',
    "object lit with idx": 'out contains x if {\n\tsome i\n\tx := {"a": input.arr[i]}\n}',
    "idx in idx missing": 'out contains i if {\n\tsome i\n\tinput.m[input.arr[i]] == 2\n}',
    "var fn": 'out contains i if {\n\tsome i\n\tx := f(i)\n\tinput.arr[i] == x\n}',
    "default": 'default out := false\nout if {\n\tsome i\n\tinput.arr[i] == 9\n}',
    "rule ref partial bound": 'out contains k if {\n\tsome k\n\tk = "a"\n\tobj1[k] == 1\n}',
    "rule ref bound after": 'out contains k if {\n\tsome k\n\tobj1[k] == 1\n\tk = "a"\n}',
    "compare unbound": 'out contains [i, j] if {\n\tsome i, j\n\ti < j\n\tinput.names[i]\n\tinput.names[j]\n}',
}

# The codes with which the profile refuses a body or a rule, for its name.
REFUSED = {
    "arg shadowed by some": "profile/unbound-variable",
    "assign shadowed by some": "profile/unbound-variable",
    "assign some": "profile/unbound-variable",
    "circular": "profile/unbound-variable",
    "circular idx": "profile/unbound-variable",
    "compr before bind": "profile/unbound-variable",
    "compr before bind2": "profile/unbound-variable",
    "compr inside": "profile/unbound-variable",
    "compr shadows by assign": "profile/unbound-variable",
    "compr shadows by in": "profile/unbound-variable",
    "compr shadows by in key": "profile/unbound-variable",
    "count compr before bind": "profile/unbound-variable",
    "every before bind": "profile/unbound-variable",
    "every before bind2": "profile/unbound-variable",
    "every domain": "profile/unbound-variable",
    "every domain bound after": "profile/unbound-variable",
    "every shadows": "profile/unbound-variable",
    "idx expr": "profile/unbound-variable",
    "in every domain": "profile/unbound-variable",
    "in shadowed by some": "profile/unbound-variable",
    "member key": "profile/unbound-variable",
    "nested deep": "profile/unbound-variable",
    "not before bind": "profile/unbound-variable",
    "not before bind 2": "profile/unbound-variable",
    "not before bind 3": "profile/unbound-variable",
    "not before bind 4": "profile/unbound-variable",
    "not only": "profile/unbound-variable",
    "redeclare": "profile/unbound-variable",
    "shadow import": "profile/shadowing",
    "shadow outer in compr": "profile/unbound-variable",
    "shadow rule": "profile/shadowing",
    "unbound": "profile/unbound-variable",
    "unbound2": "profile/unbound-variable",
    "unify arith": "profile/syntax",
    "unused": "profile/unbound-variable",
    "var fn": "profile/unbound-variable",
}


def cases():
    for name, body in BODIES.items():
        yield over(name, "out if {\n\t" + body + "\n}", **({"refused": REFUSED[name]} if name in REFUSED else {}))
        if name not in REFUSED and "\n\t" in body:
            yield over(name + ", as values", "out := [1 |\n\t" + body + "\n]")
            yield over(name + ", negated", "out if not g(1)\n\ng(_) if {\n\t" + body + "\n}")
    for name, rule in RULES.items():
        yield over(name, rule, **({"refused": REFUSED[name]} if name in REFUSED else {}))


CASES = list(cases())
