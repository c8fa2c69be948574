//! Tests of cases, `test_x[name] if { … }`: one rule, an object with a member for each case that holds.
//!
//! A case whose body fails is simply not in the object. To name it, OPA notes each case once its keys are bound; here a
//! rule beside the test does, with the statements of the body up to where the keys are bound.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use regorus::Value;
use regorus::unstable::{Expr, Ref, Rule, RuleHead};

use super::SubResult;
use super::written::written;
use crate::domain::policy::bundle::Bundle;
use crate::domain::policy::profile::{MergedModule, Node, head, parse_module, walk_statement};

/// The tests of cases of a bundle and the rules that list their cases.
#[derive(Debug, Default)]
pub(super) struct Nested {
    /// (package, test) → the rule that lists its cases.
    probes: BTreeMap<(String, String), String>,
    /// Package → the text of those rules.
    texts: BTreeMap<String, String>,
}

impl Nested {
    pub(super) fn find(bundle: &Bundle) -> Self {
        let mut found = Self::default();
        for module in bundle.modules().with_tests() {
            // Most packages have none, and parsing costs as much as loading.
            let may_have = module
                .source()
                .lines()
                .any(|l| l.starts_with("test_") && l.split(' ').next().is_some_and(|h| h.contains('[')));
            if may_have && let Ok(parsed) = parse_module(module.package(), module.source()) {
                parsed.policy.iter().for_each(|rule| found.add(module.package(), rule));
            }
        }
        found
    }

    fn add(&mut self, package: &str, rule: &Rule) {
        let Some((name, keys, body)) = test_of_cases(rule) else { return };
        let count = self.probes.len();
        let key = (package.to_owned(), name);
        let probe = self.probes.entry(key).or_insert_with(|| format!("atb_cases_of_{count}_")).clone();
        let listed = keys.join(", ");
        let text = self.texts.entry(package.to_owned()).or_default();
        let _ = write!(text, "\n{probe} contains [{listed}] if {{\n{}\n}}\n", body.join("\n"));
    }

    pub(super) fn add_to(&self, modules: &[MergedModule]) -> Vec<MergedModule> {
        let with = |module: &MergedModule| match self.texts.get(module.package()) {
            Some(text) => module.rewritten(format!("{}{text}", module.source())),
            None => module.clone(),
        };
        modules.iter().map(with).collect()
    }

    pub(super) fn probe(&self, package: &str, test: &str) -> Option<String> {
        self.probes.get(&(package.to_owned(), test.to_owned())).cloned()
    }
}

/// The name, the texts of the keys, and the statements up to where the keys are bound; none for any other rule.
fn test_of_cases(rule: &Rule) -> Option<(String, Vec<String>, Vec<String>)> {
    let Rule::Spec { head: RuleHead::Compr { refr, .. }, bodies, .. } = rule else { return None };
    let name = head(rule)?.path;
    let keys = keys(refr);
    let body = bodies.first()?;
    if keys.is_empty() || !name.starts_with("test_") {
        return None;
    }
    let stmts = &body.query.stmts;
    let bound = stmts.get(..statements_that_bind(rule, stmts))?;
    let texts = keys.iter().map(|key| written(key.span()).text.to_owned()).collect();
    Some((name, texts, bound.iter().map(|stmt| written(&stmt.span).text.to_owned()).collect()))
}

/// The keys of a head, `test_x[a][b]`, in order; those that are a text in the rule's path included.
pub(super) fn keys(refr: &Ref<Expr>) -> Vec<&Ref<Expr>> {
    let (mut at, mut keys) = (refr, Vec::new());
    while let Expr::RefBrack { refr, index, .. } = at.as_ref() {
        keys.push(index);
        at = refr;
    }
    keys.reverse();
    keys
}

/// How many statements it takes until every variable among the keys is bound.
pub(super) fn statements_that_bind(rule: &Rule, stmts: &[regorus::unstable::LiteralStmt]) -> usize {
    let Rule::Spec { head: RuleHead::Compr { refr, .. }, .. } = rule else { return stmts.len() };
    let mut wanted: BTreeSet<String> = BTreeSet::new();
    for key in keys(refr) {
        if let Expr::Var { span, .. } = key.as_ref() {
            wanted.insert(span.text().to_owned());
        }
    }
    for (i, stmt) in stmts.iter().enumerate() {
        if wanted.is_empty() {
            return i;
        }
        walk_statement(stmt, &mut |node| {
            if let Node::Binding(span) = node {
                wanted.remove(span.text());
            }
        });
    }
    stmts.len()
}

/// The cases that were listed, each a path of keys.
pub(super) fn paths(listed: &Value) -> Vec<Vec<Value>> {
    let Ok(set) = listed.as_set() else { return Vec::new() };
    set.iter().filter_map(|path| path.as_array().ok().map(|keys| keys.to_vec())).collect()
}

/// Whether the case at `path` is not true.
pub(super) fn failed_at(value: &Value, path: &[Value]) -> bool {
    let mut at = value.clone();
    for key in path {
        at = match at.as_object() {
            Ok(members) => members.get(key).cloned().unwrap_or(Value::Undefined),
            Err(_) => Value::Undefined,
        };
    }
    at != Value::Bool(true)
}

/// Every case as OPA reports it, those that are not in the object as failed.
pub(super) fn results(value: &Value, listed: &[Vec<Value>]) -> BTreeMap<String, SubResult> {
    let mut results = BTreeMap::new();
    if let Ok(members) = value.as_object() {
        for (key, value) in members.iter() {
            results.insert(key_text(key), result(value));
        }
    }
    for path in listed.iter().filter(|path| failed_at(value, path)) {
        let mut level = &mut results;
        for key in path {
            let entry = level.entry(key_text(key)).or_default();
            entry.fail = true;
            level = &mut entry.cases;
        }
    }
    results
}

fn result(value: &Value) -> SubResult {
    match value.as_object() {
        Ok(members) => {
            let cases: BTreeMap<_, _> = members.iter().map(|(key, value)| (key_text(key), result(value))).collect();
            SubResult { fail: cases.values().any(|case| case.fail), cases }
        }
        Err(_) => SubResult { fail: *value != Value::Bool(true), cases: BTreeMap::new() },
    }
}

pub(super) fn key_text(key: &Value) -> String {
    match key {
        Value::String(text) => text.to_string(),
        other => serde_json::to_string(other).unwrap_or_else(|_| "INVALID".to_owned()),
    }
}
