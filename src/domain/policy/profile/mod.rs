//! The safe profile of Rego: the texts for which regorus gives OPA's answer, in bounded time, and cannot take the
//! process down.
//!
//! ```text
//! texts ──scan──▶ layout ──▶ parse (regorus) ──▶ names ──▶ lints, builtins ──▶ call graph ──▶ merge, negations ──▶ Modules
//! ```
//!
//! A text outside of the profile is refused with file, line and column. What regorus reads differently from OPA and can
//! be put so that it does not, is (`rewrite`); the lines stay those of the file. The profile
//! does not evaluate: that a bundle prepares, ends in time and passes its tests is checked in a child process.

pub mod builtins;
mod chains;
mod edits;
pub(crate) mod graph;
pub(crate) mod legacy;
pub(crate) mod lints;
mod merge;
pub(crate) mod program;
mod rewrite;
pub(crate) mod scan;
mod scopes;
pub(crate) mod syntax;
mod terms;
// For the toolchain, which is a layer above.
#[cfg(feature = "service")]
mod workshop;

use std::collections::BTreeSet;

use serde_json::{Map, Value};

pub use graph::MAX_CHAIN;
pub use legacy::RegoVersion;
pub use merge::MergedModule;
pub(in crate::domain::policy) use program::head;
pub use scan::{MAX_NESTING, MAX_SOURCE_BYTES, MAX_SOURCE_LINES};
pub(in crate::domain::policy) use syntax::{Node, parse_module, walk_statement};
#[cfg(feature = "service")]
pub(crate) use workshop::Workshop;

use super::bundle::{Finding, Place};
use program::Program;
use syntax::ParsedFile;

/// The rules that ATB asks for.
pub const ENTRY_POINTS: [&str; 3] = ["atb.poa.decision", "atb.issue.decision", "atb.approval.assessment"];

/// The Rego of a bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Modules {
    policy: Vec<MergedModule>,
    with_tests: Vec<MergedModule>,
    rules: BTreeSet<String>,
    tests: Vec<TestRule>,
}

/// A rule whose name starts with `test_`, or with `todo_test_`, which is counted and not run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestRule {
    /// The dotted package.
    pub package: String,
    /// The rule.
    pub name: String,
    /// The file.
    pub file: String,
    /// The line of its first definition.
    pub line: usize,
    /// The column there.
    pub column: usize,
}

impl TestRule {
    /// Whether it is to be written still.
    pub fn is_todo(&self) -> bool {
        self.name.starts_with("todo_test_")
    }
}

impl Modules {
    /// What decides.
    pub fn policy(&self) -> &[MergedModule] {
        &self.policy
    }

    /// What decides, and the tests, for running the tests.
    pub fn with_tests(&self) -> &[MergedModule] {
        &self.with_tests
    }

    /// Every test.
    pub fn tests(&self) -> &[TestRule] {
        &self.tests
    }

    /// Every rule (no function) that decides, by its path below `data`.
    pub fn rules(&self) -> impl Iterator<Item = &str> {
        self.rules.iter().map(String::as_str)
    }

    /// Whether there is a rule (no function) at `data.<path>`.
    pub fn has_rule(&self, path: &str) -> bool {
        self.rules.contains(path)
    }
}

/// A text of Rego.
#[derive(Debug, Clone, Copy)]
pub struct RegoText<'t> {
    /// The file.
    pub path: &'t str,
    /// What is in it.
    pub text: &'t str,
    /// The version that it is written in.
    pub version: RegoVersion,
}

/// Admits the texts of a bundle, or says why not.
///
/// # Errors
/// Everything that is outside of the profile.
pub fn admit(texts: &[RegoText<'_>], data: &Map<String, Value>) -> Result<Modules, Vec<Finding>> {
    let files = parse(texts)?;
    let policy: Vec<&ParsedFile<'_>> = files.iter().filter(|file| !file.is_test()).collect();
    let program = Program::collect(&files)?;
    let mut findings = overlaps(&program, data);
    findings.extend(missing_entry_points(&policy));
    let has_data = |name: &str| data.contains_key(name);
    findings.extend(files.iter().flat_map(|file| lints::check(file, &program, &has_data)));
    if !findings.is_empty() {
        return Err(findings);
    }
    graph::check(&files, &program)?;
    Ok(Modules {
        policy: merge::merge(&policy, &program)?,
        with_tests: merge::merge(&tests_last(&files), &program)?,
        rules: rule_paths(&policy),
        tests: tests(&program),
    })
}

fn parse<'t>(texts: &[RegoText<'t>]) -> Result<Vec<ParsedFile<'t>>, Vec<Finding>> {
    let parsed = texts.iter().map(RegoText::parse);
    let (files, findings): (Vec<_>, Vec<_>) = parsed.partition(Result::is_ok);
    let findings: Vec<Finding> = findings.into_iter().filter_map(Result::err).collect();
    if findings.is_empty() { Ok(files.into_iter().filter_map(Result::ok).collect()) } else { Err(findings) }
}

impl<'t> RegoText<'t> {
    /// Parses it, if it may be.
    pub(crate) fn parse(&self) -> Result<ParsedFile<'t>, Finding> {
        scan::scan(self.path, self.text)?;
        ParsedFile::parse(self.path, self.text, self.version)
    }
}

/// A document at the path of a package silently wins over the package's rules, so the two share no first name.
fn overlaps(program: &Program<'_>, data: &Map<String, Value>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (name, package) in &program.packages {
        let place = package.rules.values().map(|r| r.place).next().unwrap_or(Place::whole());
        let first = name.split('.').next().unwrap_or_default();
        if data.contains_key(first) {
            let what = format!("package `{name}` and the data document `data.{first}` overlap");
            findings.push(Finding::coded("profile/overlap", place, what, "rename one of them"));
        }
        if let Some(rule) = rule_over(program, name) {
            let what = format!("the rule has the path of package `{name}`");
            findings.push(Finding::coded("profile/overlap", rule.place, what, "rename one of them"));
        }
    }
    findings
}

/// A rule of another package at or below whose path the package `name` lies.
fn rule_over<'p>(program: &'p Program<'_>, name: &str) -> Option<&'p program::RuleInfo<'p>> {
    let inside = |path: &str| path == name || name.starts_with(&format!("{path}."));
    program.packages.iter().find_map(|(parent, package)| {
        package.rules.iter().find(|(rule, _)| inside(&format!("{parent}.{rule}"))).map(|(_, info)| info)
    })
}

fn missing_entry_points(policy: &[&ParsedFile<'_>]) -> Vec<Finding> {
    let paths = rule_paths(policy);
    let finding = |path: &&str| {
        Finding::coded(
            "profile/entry-point",
            Place::whole(),
            format!("there is no rule `data.{path}`"),
            "add it: ATB asks for it",
        )
    };
    ENTRY_POINTS.iter().filter(|path| !paths.contains(**path)).map(finding).collect()
}

fn rule_paths(files: &[&ParsedFile<'_>]) -> BTreeSet<String> {
    let of_file = |file: &&ParsedFile<'_>| {
        let package = file.package_name();
        let heads = file.module.policy.iter().filter_map(|rule| program::head(rule)).filter(|head| !head.function);
        heads.map(|head| format!("{package}.{}", head.path)).collect::<Vec<_>>()
    };
    files.iter().flat_map(of_file).collect()
}

fn tests_last<'a, 't>(files: &'a [ParsedFile<'t>]) -> Vec<&'a ParsedFile<'t>> {
    let mut ordered: Vec<_> = files.iter().collect();
    ordered.sort_by_key(|file| file.is_test());
    ordered
}

fn tests(program: &Program<'_>) -> Vec<TestRule> {
    let of_package = |(package, names): (&String, &program::Package<'_>)| {
        let named = names
            .rules
            .iter()
            .filter(|(name, rule)| (name.starts_with("test_") || name.starts_with("todo_test_")) && !rule.function);
        let test = named.map(|(name, rule)| TestRule {
            package: package.clone(),
            name: name.clone(),
            file: rule.place.file.to_owned(),
            line: rule.place.line,
            column: rule.place.column,
        });
        test.collect::<Vec<_>>()
    };
    program.packages.iter().flat_map(of_package).collect()
}

#[cfg(test)]
mod tests;
