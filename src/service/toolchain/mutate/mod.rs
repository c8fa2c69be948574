//! `atb policy mutate`: would a test notice if the policy were wrong?
//!
//! ```text
//! texts ──parse──▶ syntax tree ──▶ edits ──(one at a time)──▶ bundle ──▶ its own tests ──▶ killed | survived
//! ```
//!
//! Every edit is one small mistake: a condition that is not there, a bound one further, one approval less. A mutant
//! that does not load inside the safe profile is *stillborn* and does not count. The score is killed mutants by those
//! that were born, without the survivors that an accept file names with a reason ([`accept`]).
//!
//! A rule that is a short way to what another says at length (`custom: {fast_path: true}` in its METADATA) may be
//! narrower without giving another answer. For such rules a test also notices when it now goes through lines where it
//! did not go before: the short way is closed for it.

pub mod accept;
mod data;
mod edit;
mod judge;
mod policy;
pub mod report;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use serde::Serialize;

pub use accept::{AcceptError, Accepted};
pub use edit::{Edit, Operator};
pub use judge::Verdict;

use super::annotations::{self, Target};
use crate::domain::policy::Bundle;
use crate::domain::policy::bundle::{self, BundleError, BundleFiles, Place};
use crate::domain::policy::engine::discover;
use crate::domain::policy::profile::RegoText;
use crate::domain::policy::profile::program::head;
use crate::domain::policy::profile::syntax::ParsedFile;
use judge::{Baseline, Court};

/// Which mutants to make and how to judge them.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Only so many, chosen by the seed.
    pub sample: Option<usize>,
    /// Chooses the sample.
    pub seed: u64,
    /// Only rules and data whose dotted name contains this.
    pub rule: Option<String>,
    /// Only files whose path contains this.
    pub file: Option<String>,
    /// Only Rego, no data.
    pub rego_only: bool,
    /// The acts of the catalogue too. Their rows are data sheets: what tries each of them is no test of the bundle but
    /// `domain/policy/engine/acts.rs`, from the rows themselves.
    pub catalogue: bool,
    /// Threads.
    pub jobs: usize,
    /// Further rules to take for short ways, by dotted package and rule.
    pub fast_paths: BTreeSet<String>,
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum MutateError {
    /// The bundle does not load as it is.
    #[error("{0}")]
    Bundle(#[from] BundleError),
    /// Its tests fail as it is.
    #[error("{} tests fail before anything is changed: {}", .0.len(), .0.iter().take(5).cloned().collect::<Vec<_>>().join(", "))]
    FailingTests(Vec<String>),
    /// There are no tests.
    #[error("the bundle has no tests: every mutant would survive")]
    NoTests,
    /// The engine did not take the bundle, or a thread did not start.
    #[error("{0}")]
    Engine(String),
}

/// A mutant that nobody noticed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Mutant {
    /// The file, relative to the bundle's root.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1.
    pub column: usize,
    /// Dotted package and rule, or the path in the data.
    pub rule: String,
    /// What kind of change.
    pub operator: Operator,
    /// The text that is replaced.
    pub original: String,
    /// By what; empty where it is taken away.
    pub mutated: String,
    /// What kind of test would notice.
    pub hint: &'static str,
    /// Why it may survive, by the accept file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accepted: Option<String>,
}

/// Numbers of one file, or of all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Mutants that were born.
    pub mutants: usize,
    /// Those that a test noticed, by its answer, its time or its way.
    pub killed: usize,
    /// Of these, by a test that did not end in time.
    pub timed_out: usize,
    /// Of these, by a test that takes the long way now.
    pub detours: usize,
    /// Those that no test noticed.
    pub survived: usize,
    /// Of these, named by the accept file.
    pub accepted: usize,
    /// Edits that are no policy; not among the mutants.
    pub stillborn: usize,
}

impl Counts {
    /// Whether mutants were made and none of them loads, so that nothing was tried.
    pub fn nothing_tried(&self) -> bool {
        self.mutants == 0 && self.stillborn > 0
    }

    /// Killed by born, in hundredths of a per cent, without accepted survivors; 100 % where there is none.
    pub fn score(&self) -> u32 {
        let all = self.mutants.saturating_sub(self.accepted);
        let score = self.killed.saturating_mul(10_000).checked_div(all).unwrap_or(10_000);
        u32::try_from(score).unwrap_or(10_000)
    }

    fn add(&mut self, verdict: &Verdict) {
        if *verdict == Verdict::Stillborn {
            self.stillborn += 1;
            return;
        }
        self.mutants += 1;
        match verdict {
            Verdict::Survived => self.survived += 1,
            _ => self.killed += 1,
        }
        self.timed_out += usize::from(matches!(verdict, Verdict::TimedOut(_)));
        self.detours += usize::from(matches!(verdict, Verdict::Detour(_)));
    }
}

/// What came of all mutants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The bundle.
    pub revision: String,
    /// How many tests there are.
    pub tests: usize,
    /// Whether only a part of the mutants was tried.
    pub partial: bool,
    /// All files together.
    pub total: Counts,
    /// By file.
    pub files: BTreeMap<String, Counts>,
    /// Those that no test noticed, by file and line.
    pub survivors: Vec<Mutant>,
    /// Entries of the accept file that name no survivor.
    pub stale: Vec<String>,
}

/// The bundle in the forms that mutants are made from.
struct Source<'a> {
    files: &'a BundleFiles,
    bundle: Arc<Bundle>,
    rego: Vec<RegoText<'a>>,
    /// Rego as the parser saw it: the places of edits are places in this text.
    parsed: BTreeMap<&'a str, String>,
    /// By dotted package and rule: file, first and last line of each definition.
    rules: BTreeMap<String, Vec<(String, usize, usize)>>,
    fast_paths: BTreeSet<String>,
    edits: Vec<Edit>,
}

/// Makes mutants and judges them; `heard` is told how many are done, of how many, and how many survived.
///
/// # Errors
/// When the bundle does not load, has no tests, or they fail as it is.
pub fn run(
    files: &BundleFiles,
    options: &Options,
    accepted: &[Accepted],
    mut heard: impl FnMut(usize, usize, usize),
) -> Result<Report, MutateError> {
    let mut source = Source::read(files)?;
    if source.bundle.modules().tests().is_empty() && source.bundle.cases().is_empty() {
        return Err(MutateError::NoTests);
    }
    let all = std::mem::take(&mut source.edits);
    let edits = chosen(all, options);
    let baseline = Baseline::measure(&source, &edits, options.jobs)?;
    let fast_paths: BTreeSet<String> = source.fast_paths.union(&options.fast_paths).cloned().collect();
    let court = Court {
        source: &source,
        baseline: &baseline,
        edits: &edits,
        fast_paths: &fast_paths,
        noticed: Mutex::default(),
    };
    let mut survived = 0;
    let verdicts = court.sit(options.jobs, &mut |done, verdict| {
        survived += usize::from(*verdict == Verdict::Survived);
        heard(done, edits.len(), survived);
    })?;
    Ok(report(&source, &edits, &verdicts, options, accepted))
}

impl<'a> Source<'a> {
    fn read(files: &'a BundleFiles) -> Result<Self, MutateError> {
        let bundle = Arc::new(Bundle::parse(files)?);
        let text = |content: &'a [u8]| std::str::from_utf8(content).unwrap_or_default();
        let rego = bundle::rego_texts(files)?;
        let parsed: Result<Vec<ParsedFile<'_>>, _> = rego.iter().map(RegoText::parse).collect();
        let parsed = parsed.map_err(BundleError::from)?;
        let mut edits = policy::edits(&parsed);
        let is_json = |path: &str| path.rsplit('/').next() == Some("data.json");
        edits.extend(files.iter().filter(|(path, _)| is_json(path)).flat_map(|(path, c)| data::edits(path, text(c))));
        let (rules, fast_paths) = (rules(&parsed), fast_paths(&parsed));
        let parsed = parsed.into_iter().map(|file| (file.path, file.text)).collect();
        Ok(Self { files, bundle, rego, parsed, rules, fast_paths, edits })
    }

    fn text(&self, file: &str) -> Option<&str> {
        match self.parsed.get(file) {
            Some(text) => Some(text),
            None => std::str::from_utf8(self.files.find(file)?).ok(),
        }
    }

    fn lines_of(&self, subject: &str) -> &[(String, usize, usize)] {
        self.rules.get(subject).map(Vec::as_slice).unwrap_or_default()
    }
}

fn rules(files: &[ParsedFile<'_>]) -> BTreeMap<String, Vec<(String, usize, usize)>> {
    let mut rules: BTreeMap<String, Vec<(String, usize, usize)>> = BTreeMap::new();
    for file in files {
        let line = |offset: u32| Place::at(file.path, &file.text, usize::try_from(offset).unwrap_or(0)).line;
        for rule in &file.module.policy {
            let Some(head) = head(rule) else { continue };
            let lines = (file.path.to_owned(), line(rule.span().start), line(rule.span().end));
            rules.entry(format!("{}.{}", file.package_name(), head.path)).or_default().push(lines);
        }
    }
    rules
}

fn fast_paths(files: &[ParsedFile<'_>]) -> BTreeSet<String> {
    let of_file = |file: &ParsedFile<'_>| {
        let package = file.package_name();
        let marked = annotations::of_file(file)
            .into_iter()
            .filter(|block| block.custom("fast_path") == Some(&serde_json::Value::Bool(true)));
        let name = |block: annotations::Annotation| match block.target {
            Target::Rule(rule) => Some(format!("{package}.{rule}")),
            Target::Package | Target::Nothing => None,
        };
        marked.filter_map(name).collect::<Vec<_>>()
    };
    files.iter().flat_map(of_file).collect()
}

fn chosen(mut edits: Vec<Edit>, options: &Options) -> Vec<Edit> {
    let has = |text: &str, part: &Option<String>| part.as_ref().is_none_or(|part| text.contains(part.as_str()));
    edits.retain(|edit| has(&edit.subject, &options.rule) && has(&edit.file, &options.file));
    edits.retain(|edit| !options.rego_only || edit.file.ends_with(".rego"));
    edits.retain(|edit| options.catalogue || !edit.subject.starts_with("data.catalogue."));
    let Some(size) = options.sample.filter(|size| *size < edits.len()) else { return edits };
    let mut ranked: Vec<(u64, usize)> = (0..edits.len()).map(|index| (mixed(options.seed, index), index)).collect();
    ranked.sort_unstable();
    let kept: BTreeSet<usize> = ranked.into_iter().take(size).map(|(_, index)| index).collect();
    edits.into_iter().enumerate().filter(|(index, _)| kept.contains(index)).map(|(_, edit)| edit).collect()
}

/// SplitMix64: the same seed gives the same sample everywhere.
fn mixed(seed: u64, index: usize) -> u64 {
    let step = u64::try_from(index).unwrap_or(u64::MAX).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut z = seed.wrapping_add(step);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn report(
    source: &Source<'_>,
    edits: &[Edit],
    verdicts: &[Verdict],
    options: &Options,
    accepted: &[Accepted],
) -> Report {
    let (mut total, mut files): (Counts, BTreeMap<String, Counts>) = Default::default();
    let mut survivors = Vec::new();
    for (edit, verdict) in edits.iter().zip(verdicts) {
        let counts = files.entry(edit.file.clone()).or_default();
        counts.add(verdict);
        total.add(verdict);
        if *verdict == Verdict::Survived {
            let mut mutant = mutant(edit, source.text(&edit.file).unwrap_or_default());
            mutant.accepted = accepted.iter().find(|entry| entry.names(&mutant)).map(|entry| entry.reason.clone());
            counts.accepted += usize::from(mutant.accepted.is_some());
            total.accepted += usize::from(mutant.accepted.is_some());
            survivors.push(mutant);
        }
    }
    let partial = options.sample.is_some() || options.rule.is_some() || options.file.is_some() || options.rego_only;
    let is_stale = |entry: &&Accepted| !partial && !survivors.iter().any(|mutant| entry.names(mutant));
    let stale = accepted.iter().filter(is_stale).map(|entry| format!("{}: `{}`", entry.file, entry.original)).collect();
    Report {
        revision: source.bundle.revision().to_string(),
        tests: discover(&source.bundle).iter().filter(|test| !test.todo).count(),
        partial,
        total,
        files,
        survivors,
        stale,
    }
}

fn mutant(edit: &Edit, text: &str) -> Mutant {
    Mutant {
        file: edit.file.clone(),
        line: edit.line,
        column: edit.column,
        rule: edit.subject.clone(),
        operator: edit.operator,
        original: edit.original(text).to_owned(),
        mutated: edit.replacement.clone(),
        hint: edit.operator.hint(),
        accepted: None,
    }
}
