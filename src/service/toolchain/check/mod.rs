//! `atb policy check`: what is wrong with a bundle, without evaluating it.
//!
//! ```text
//! texts ──scan, parse──▶ files ──▶ safe profile │ scopes │ types │ builtins │ conflicts │ reach │ METADATA ──▶ findings
//! ```
//!
//! What keeps a bundle from loading is an error here as well, and everything is reported at once, also where several
//! files do not parse; then what depends on all names is left out. Every rule has a stable name ([`RuleId`]).
//! It does not evaluate and does not run tests.

mod acts;
mod builtins;
mod conflict;
mod finding;
mod metadata;
mod reach;
pub mod report;
mod schema;
mod scope;
mod signatures;
mod types;

use std::collections::BTreeSet;

use serde_json::{Map, Value};

pub use finding::{Finding, RuleId, Severity};

use crate::domain::policy::Bundle;
use crate::domain::policy::bundle::{self, BundleFiles, Manifest, Place, RegoVersions};
use crate::domain::policy::profile::legacy::Departure;
use crate::domain::policy::profile::program::{Program, head};
use crate::domain::policy::profile::syntax::ParsedFile;
use crate::domain::policy::profile::{RegoText, lints};

/// What is looked for beyond the usual.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Every rule needs a title, not only packages and entry points: a missing one is a warning.
    pub title_every_rule: bool,
}

/// Everything that every analysis reads.
struct Subject<'a, 't> {
    files: &'a [ParsedFile<'t>],
    program: &'a Program<'t>,
    /// None where the data do not load.
    data: Option<&'a Map<String, Value>>,
    /// Whether every file parsed.
    whole: bool,
}

/// Looks at a bundle; findings by file and line.
pub fn check(files: &BundleFiles, options: Options) -> Vec<Finding> {
    let mut findings = Vec::new();
    let texts: Vec<(&str, &[u8])> = files.iter().filter(|(path, _)| path.ends_with(".rego")).collect();
    let mut parsed = Vec::new();
    let versions = Manifest::of(files).map(|manifest| manifest.rego_versions().clone()).unwrap_or_default();
    for (path, content) in &texts {
        match parse(path, content, &versions) {
            Ok(file) => parsed.push(file),
            Err(finding) => findings.push(syntax(&finding)),
        }
    }
    let whole = parsed.len() == texts.len();
    let data = bundle::data_document(files).ok();
    if let Err(error) = Bundle::parse(files) {
        findings.extend(error.findings().iter().filter_map(of_loading));
    }
    match Program::collect(&parsed) {
        Err(refused) => findings.extend(refused.iter().filter_map(of_loading)),
        Ok(program) => {
            let subject = Subject { files: &parsed, program: &program, data: data.as_ref(), whole };
            findings.extend(profile(&subject));
            findings.extend(scope::check(&subject));
            findings.extend(builtins::check(&subject));
            findings.extend(types::check(&subject));
            findings.extend(conflict::check(&subject));
            findings.extend(reach::check(&subject));
        }
    }
    findings.extend(data.iter().flat_map(|data| acts::check(files, data)));
    findings.extend(metadata::check(&parsed, options));
    findings.extend(names(&parsed));
    findings.extend(departures(&parsed));
    settled(findings)
}

fn parse<'t>(path: &'t str, content: &'t [u8], versions: &RegoVersions) -> Result<ParsedFile<'t>, bundle::Finding> {
    let text = std::str::from_utf8(content);
    let text = text.map_err(|_| bundle::Finding::new(Place::file(path), "not UTF-8", "save the file as UTF-8"))?;
    // Where the versions contradict each other, loading says so.
    RegoText { path, text, version: versions.of(path).unwrap_or_default() }.parse()
}

/// Where a module of Rego v0 is not Rego v1, and what it is read as.
fn departures(files: &[ParsedFile<'_>]) -> Vec<Finding> {
    let of_file = |file: &ParsedFile<'_>| {
        let note = |departure: &Departure| {
            let fix = format!("in Rego v1: {}", departure.instead);
            Finding::new(RuleId::RegoV0, file.departure_place(departure), departure.what.as_str(), fix)
        };
        file.departures.iter().map(note).collect::<Vec<_>>()
    };
    files.iter().flat_map(of_file).collect()
}

fn syntax(finding: &bundle::Finding) -> Finding {
    let rule = match finding.what.as_str() {
        what if what.contains("cannot be shadowed") => RuleId::RootShadowed,
        what if what.starts_with("import shadows") => RuleId::DuplicateImport,
        _ => RuleId::SyntaxError,
    };
    let message = finding.what.lines().next().unwrap_or_default().trim_end_matches(':').to_owned();
    // Whatever its rule says of it elsewhere: the file does not parse.
    Finding { severity: Severity::Error, message, ..Finding::of_bundle(rule, finding) }
}

/// What loading the bundle would say. Syntax is reported file by file, with more of it.
fn of_loading(finding: &bundle::Finding) -> Option<Finding> {
    let rego = finding.file.ends_with(".rego");
    if rego && finding.fix.starts_with("correct the syntax") {
        return None;
    }
    let hides_root = ["`input`", "`data`"]
        .iter()
        .any(|name| finding.what.ends_with(name) || finding.what.contains(&format!("variable {name} hides")));
    let rule = match (rego, finding.what.contains("hides") && hides_root) {
        (true, true) => RuleId::RootShadowed,
        (true, false) => RuleId::OutsideProfile,
        (false, _) if finding.what.starts_with("there is no rule") => RuleId::OutsideProfile,
        (false, _) => RuleId::BundleData,
    };
    Some(Finding::of_bundle(rule, finding))
}

/// The lints of the safe profile where loading did not come to them, because data or another file do not load.
fn profile(subject: &Subject<'_, '_>) -> Vec<Finding> {
    let has_data = |name: &str| subject.data.is_none_or(|data| data.contains_key(name));
    let all = subject.files.iter().flat_map(|file| lints::check(file, subject.program, &has_data));
    let known = |finding: &bundle::Finding| subject.whole || !finding.what.starts_with("there is no");
    all.filter(known).filter_map(|finding| of_loading(&finding)).collect()
}

/// Names of packages, rules and tests.
fn names(files: &[ParsedFile<'_>]) -> Vec<Finding> {
    const FIX: &str = "use lower case, digits and underscores";
    let snake = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
            && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
    };
    let mut findings = Vec::new();
    for file in files {
        let span = &file.module.package.span;
        if !file.package.iter().all(|name| snake(name)) {
            let what = format!("the package is called `{}`", file.package_name());
            findings.push(Finding::new(RuleId::RuleName, file.place(span), what, FIX));
        }
        let mut seen = BTreeSet::new();
        for head in file.module.policy.iter().filter_map(|rule| head(rule)) {
            let (place, new) = (file.place(head.root), seen.insert(head.path.clone()));
            if new && !head.path.split('.').all(snake) {
                let what = format!("the rule is called `{}`", head.path);
                findings.push(Finding::new(RuleId::RuleName, place, what, FIX));
            }
            if new && head.path.starts_with("test_") && !file.is_test() {
                let what = format!("`{}` is a test in a file that decides", head.path);
                findings.push(Finding::new(RuleId::MisplacedTest, place, what, "move it to a file `…_test.rego`"));
            }
        }
    }
    findings
}

/// In order, each once; where a rule of its own says it, the profile does not say it again.
fn settled(mut findings: Vec<Finding>) -> Vec<Finding> {
    let place = |f: &Finding| (f.file.clone(), f.line, f.column);
    let exact: BTreeSet<_> = findings
        .iter()
        .filter(|f| f.severity == Severity::Error && f.rule != RuleId::OutsideProfile)
        .map(place)
        .collect();
    findings.retain(|f| f.rule != RuleId::OutsideProfile || !exact.contains(&place(f)));
    findings.sort();
    findings.dedup();
    findings
}
