//! Builtins that a policy must not call, each with what to use instead, and calls with the wrong number of arguments.

use std::collections::BTreeMap;

use regorus::unstable::{Rule, RuleHead};

use super::{Finding, RuleId, Subject};
use crate::domain::policy::profile::builtins;
use crate::domain::policy::profile::legacy;
use crate::domain::policy::profile::program::{Meaning, head};
use crate::domain::policy::profile::syntax::{Node, ParsedFile, Reference, walk_rule};

/// What OPA has withdrawn.
const DEPRECATED: &[(&str, &str)] = &[
    ("all", "`every x in xs { x }`"),
    ("any", "`true in xs`"),
    ("cast_array", "`is_array(x)` and `x`"),
    ("cast_boolean", "`is_boolean(x)` and `x`"),
    ("cast_null", "`x == null`"),
    ("cast_object", "`is_object(x)` and `x`"),
    ("cast_set", "`{x | some x in xs}`"),
    ("cast_string", "`is_string(x)` and `x`"),
    ("net.cidr_overlap", "`net.cidr_contains`"),
    ("re_match", "`regex.match`"),
    ("set_diff", "`a - b`"),
];

/// What answers differently to the same question.
const NONDETERMINISTIC: &[(&str, &str)] = &[
    ("http.send", "facts that come with `input` or stand in `data`"),
    ("net.lookup_ip_addr", "addresses that come with `input` or stand in `data`"),
    ("opa.runtime", "`input.environment`, or a document of `data`"),
    ("rand.intn", "a stable part of `input`, such as the digest of the call"),
    ("time.now_ns", "`input.time * 1000000000`"),
    ("uuid.rfc4122", "an identifier of `input`, such as `input.poa.jti`"),
];

/// What is not allowed though it is pure, where there is another way.
const INSTEAD: &[(&str, &str)] = &[
    ("numbers.range", "a list that is written out"),
    ("print", "`atb policy eval`, or a test"),
    ("sprintf", "`concat` and `format_int`"),
    ("strings.count", "`count(split(x, \"…\")) - 1`"),
    ("to_number", "a parameter of type number"),
    ("trace", "`atb policy eval`, or a test"),
    ("units.parse", "a number in one unit"),
    ("units.parse_bytes", "a number of bytes"),
    ("walk", "the path to each value"),
];

/// Every finding about calls.
pub(super) fn check(subject: &Subject<'_, '_>) -> Vec<Finding> {
    let arities = arities(subject.files);
    let mut findings = Vec::new();
    for file in subject.files {
        let package = file.package_name();
        for rule in &file.module.policy {
            walk_rule(rule, &mut |node| {
                let Node::Call(name, args) = node else { return };
                match subject.program.meaning(&package, &name) {
                    Meaning::Rules(rules) => {
                        let known = rules.first().filter(|_| rules.len() == 1).and_then(|rule| arities.get(rule));
                        findings.extend(known.and_then(|takes| arity(file, &name, *takes, args.len())));
                    }
                    Meaning::Other => findings.extend(builtin(subject, file, &name, args.len())),
                    _ => {}
                }
            });
        }
    }
    findings
}

/// How many arguments each function takes.
fn arities(files: &[ParsedFile<'_>]) -> BTreeMap<(String, String), usize> {
    let mut arities = BTreeMap::new();
    for file in files {
        for rule in &file.module.policy {
            if let Rule::Spec { head: RuleHead::Func { args, .. }, .. } = rule.as_ref()
                && let Some(head) = head(rule)
            {
                arities.entry((file.package_name(), head.path)).or_insert(args.len());
            }
        }
    }
    arities
}

fn builtin(subject: &Subject<'_, '_>, file: &ParsedFile<'_>, name: &Reference<'_>, args: usize) -> Option<Finding> {
    let called = name.names().0.join(".");
    let place = file.place(name.root);
    let listed = |list: &[(&str, &'static str)]| list.iter().find(|(n, _)| *n == called).map(|(_, use_this)| *use_this);
    let allowed = if file.is_test() { builtins::is_allowed_in_tests(&called) } else { builtins::is_allowed(&called) };
    if file.legacy && legacy::is_withdrawn(&called) {
        return builtins::arity(&called).and_then(|takes| arity(file, name, takes, args));
    }
    if let Some(instead) = listed(DEPRECATED).filter(|_| !allowed) {
        let what = format!("`{called}` is deprecated");
        return Some(Finding::new(RuleId::DeprecatedBuiltin, place, what, format!("use {instead}")));
    }
    if let Some(instead) = listed(NONDETERMINISTIC).filter(|_| !allowed) {
        let what = format!("`{called}` gives another answer to the same question");
        return Some(Finding::new(RuleId::NondeterministicBuiltin, place, what, format!("use {instead}")));
    }
    if allowed {
        return builtins::arity(&called).and_then(|takes| arity(file, name, takes, args));
    }
    if builtins::exists(&called) {
        let fix =
            listed(INSTEAD).map_or_else(|| "use a builtin of the safe profile".to_owned(), |i| format!("use {i}"));
        let what = format!("the safe profile does not allow `{called}`");
        return Some(Finding::new(RuleId::ForbiddenBuiltin, place, what, fix));
    }
    // A function of a file that does not parse is no unknown builtin.
    let near = nearest(&called);
    (subject.whole || called.contains('.')).then(|| {
        let fix = near.map_or_else(|| "correct the name".to_owned(), |name| format!("use `{name}`"));
        Finding::new(RuleId::UnknownBuiltin, place, format!("there is no function or builtin `{called}`"), fix)
    })
}

fn nearest(name: &str) -> Option<&'static str> {
    let distance = |other: &&&str| strsim::damerau_levenshtein(name, other);
    builtins::allowed().iter().min_by_key(distance).filter(|best| distance(best) <= 2).copied()
}

fn arity(file: &ParsedFile<'_>, name: &Reference<'_>, takes: usize, given: usize) -> Option<Finding> {
    (takes != given).then(|| {
        let what = format!("`{}` takes {takes} arguments, not {given}", name.names().0.join("."));
        Finding::new(RuleId::WrongArity, file.place(name.root), what, "correct the call")
    })
}
