//! The builtins that a policy may call: pure, deterministic and bounded by the size of what they are given.
//!
//! What is not on the list is refused at load. Left out on purpose: whatever reads the outside or a clock
//! (`http.send`, `time.now_ns`, `rand.intn`, `opa.runtime`, `uuid.rfc4122`), what can run or grow without bound in
//! regorus, where the execution timer does not reach (`numbers.range`, `net.cidr_expand`, `sprintf`, `units.*`,
//! `strings.count`, `bits.*`, `to_number`, `graph.*`, `walk`), what regorus answers differently from OPA on a wrong
//! argument (`sprintf`), and what regorus does not have and finds out only when it evaluates (`crypto.*`, `io.jwt.*`).
//! `replace` and `trim` are admitted only with literal arguments (see `lints.rs`).

/// Sorted, so that it can be searched and read.
const ALLOWED: &[&str] = &[
    "abs",
    "array.concat",
    "array.reverse",
    "array.slice",
    "ceil",
    "concat",
    "contains",
    "count",
    "endswith",
    "floor",
    "format_int",
    "indexof",
    "intersection",
    "is_array",
    "is_boolean",
    "is_null",
    "is_number",
    "is_object",
    "is_set",
    "is_string",
    "lower",
    "max",
    "min",
    "net.cidr_contains",
    "object.filter",
    "object.get",
    "object.keys",
    "object.remove",
    "object.union",
    "regex.match",
    "replace",
    "round",
    "semver.compare",
    "semver.is_valid",
    "sort",
    "split",
    "startswith",
    "strings.any_prefix_match",
    "strings.any_suffix_match",
    "substring",
    "sum",
    "time.clock",
    "time.date",
    "time.format",
    "time.parse_rfc3339_ns",
    "time.weekday",
    "trim",
    "trim_left",
    "trim_prefix",
    "trim_right",
    "trim_space",
    "trim_suffix",
    "type_name",
    "union",
    "upper",
];

/// What only tests may call: they run at activation, in the child process, and never for a decision.
const ALLOWED_IN_TESTS: &[&str] = &[
    "json.filter",
    "json.marshal",
    "json.remove",
    "json.unmarshal",
    "numbers.range",
    "object.subset",
    "object.union_n",
    "sprintf",
    "to_number",
];

/// Whether a test may call it.
pub(crate) fn is_allowed_in_tests(name: &str) -> bool {
    is_allowed(name) || ALLOWED_IN_TESTS.contains(&name)
}

/// Whether a policy may call it.
pub fn is_allowed(name: &str) -> bool {
    ALLOWED.binary_search(&name).is_ok()
}

/// Every builtin that a policy may call.
pub fn allowed() -> &'static [&'static str] {
    ALLOWED
}

/// Whether regorus has a builtin of that name, allowed or not.
pub(crate) fn exists(name: &str) -> bool {
    name == "print" || regorus::unstable::BUILTINS.contains_key(name)
}

/// How many arguments a builtin of regorus takes.
pub(crate) fn arity(name: &str) -> Option<usize> {
    regorus::unstable::BUILTINS.get(name).map(|(_, arity)| usize::from(*arity))
}

/// Whether a rule or an import of that name would hide a builtin or a family of them.
pub(crate) fn would_hide(name: &str) -> bool {
    let family = |builtin: &&str| builtin.split('.').next() == Some(name);
    regorus::unstable::BUILTINS.keys().any(family) || name == "print"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_sorted_and_regorus_has_each_of_them() {
        assert!(ALLOWED.is_sorted());
        for name in ALLOWED {
            assert!(exists(name), "{name}");
        }
    }

    #[test]
    fn what_reads_the_outside_or_runs_without_bound_is_not_on_the_list() {
        for name in [
            "http.send",
            "time.now_ns",
            "rand.intn",
            "opa.runtime",
            "uuid.rfc4122",
            "net.cidr_expand",
            "numbers.range",
            "strings.count",
            "sprintf",
            "units.parse_bytes",
            "bits.lsh",
            "to_number",
            "walk",
            "print",
            "trace",
            "io.jwt.decode",
        ] {
            assert!(!is_allowed(name), "{name}");
        }
    }
}
