"""What the lists of cases are made with."""

# One of each kind, for builtins that are given the wrong one.
MIXED = [None, True, False, 0, -1, 7, 1.5, "", "a", "10", [], [1, "a"], {}, {"a": 1}]


def case(name, rego, query="t.x", input=None, data=None, refused=None, differs=None, ours=None, v0=False):
    """`rego` is one module, or a mapping of file names to modules; `t` is the package of one without."""
    if isinstance(rego, str):
        rego = {"a.rego": rego if rego.lstrip().startswith("package") else "package t\n\n" + rego}
    made = {"name": name, "modules": {k: v.strip("\n") + "\n" for k, v in rego.items()}, "query": query}
    for key, value in (("input", input), ("data", data), ("refused", refused), ("differs", differs), ("ours", ours)):
        if value is not None:
            made[key] = value
    if v0:
        made["v0"] = True
    return made


def calls(builtin, *arguments):
    """A builtin over rows of arguments that come by way of the input, so that no compiler sees their types."""
    width = len(arguments[0])
    row = ", ".join(f"row[{i}]" for i in range(width))
    return case(
        f"{builtin} over its edges",
        f"x := {{i: r |\n\tsome i, row in input.rows\n\tr := {builtin}({row})\n}}",
        input={"rows": [list(a) for a in arguments]},
    )


def mixed(builtin, *good):
    """A builtin with each argument replaced by one of each kind, and undefined at each place."""
    params = ", ".join(f"row[{i}]" for i in range(len(good)))
    rows = [[v if i == at else g for i, g in enumerate(good)] for at in range(len(good)) for v in MIXED]
    gone = [", ".join("input.missing" if i == at else f"input.rows[0][{i}]" for i in range(len(good))) for at in range(len(good))]
    missing = "\n".join(f"\nu{i} := {builtin}({g})" for i, g in enumerate(gone))
    return case(
        f"{builtin} over one of each kind",
        f"x := {{\"values\": values, \"missing\": missing}}\n\nvalues := {{i: r |\n\tsome i, row in input.rows\n\tr := {builtin}({params})\n}}\n\n"
        + "missing := {i | some i, v in {"
        + ", ".join(f'"{i}": count([1 | u{i}])' for i in range(len(good)))
        + "}; v > 0}\n"
        + missing,
        input={"rows": rows},
    )
