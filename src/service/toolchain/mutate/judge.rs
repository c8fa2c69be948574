//! Does a test notice? Mutants are divided among threads, each with an engine of its own and the stack that deep
//! evaluation needs; the tests that go through the changed line run first, and the first that fails ends it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::edit::{Edit, Operator};
use super::{MutateError, Source};
use crate::domain::policy::Bundle;
use crate::domain::policy::bundle::BundleFiles;
use crate::domain::policy::engine::{EngineError, Line, Trial, TrialOutcome, TrialTest, Trials, trial_tests};
use crate::domain::policy::profile::Workshop;

const STACK_BYTES: usize = 16 * 1024 * 1024;
/// The least that a test may take, whatever it took before.
const LEAST_LIMIT: Duration = Duration::from_secs(1);
/// The most that a test takes on the unchanged bundle.
const BASE_LIMIT: Duration = Duration::from_secs(10);
const PATIENCE: u32 = 10;
/// How many tests are remembered by rule.
const MAX_REMEMBERED: usize = 8;

/// What came of a mutant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// This test fails.
    Killed(String),
    /// This test does not end in time.
    TimedOut(String),
    /// The answers are the same, but this test takes the long way where there is a short one.
    Detour(String),
    /// No test notices.
    Survived,
    /// It is no policy: it does not load.
    Stillborn,
}

/// What is known of the tests over the unchanged bundle.
pub(super) struct Baseline {
    tests: Vec<TrialTest>,
    limits: Vec<Duration>,
    lines: Vec<BTreeSet<Line>>,
    /// First name of the data → tests that depend on it.
    readers: BTreeMap<String, Vec<usize>>,
}

impl Baseline {
    /// Runs every test once, with its coverage; and once without each document of the data that `edits` change.
    pub(super) fn measure(source: &Source<'_>, edits: &[Edit], threads: usize) -> Result<Self, MutateError> {
        let trials = Trials::new(Arc::clone(&source.bundle)).map_err(engine)?;
        let tests = trial_tests(&source.bundle).map_err(engine)?;
        let (mut limits, mut lines, mut failing) = (Vec::new(), Vec::new(), Vec::new());
        for (test, traced) in tests.iter().zip(traced(source, &tests, threads)?) {
            limits.push(LEAST_LIMIT.max(traced.took * PATIENCE));
            lines.push(traced.lines);
            if traced.outcome != TrialOutcome::Passed {
                failing.push(test.name());
            }
        }
        if !failing.is_empty() {
            return Err(MutateError::FailingTests(failing));
        }
        let roots: BTreeSet<&str> = edits.iter().filter_map(root_of).collect();
        let readers = readers(source, &trials, &roots, (&tests, &limits));
        Ok(Self { tests, limits, lines, readers })
    }

    /// The tests to run for a change, those that are most likely to notice first.
    fn order(&self, edit: &Edit, rule: &[(String, usize, usize)]) -> Vec<usize> {
        if let Some(root) = root_of(edit) {
            return self.readers.get(root).cloned().unwrap_or_default();
        }
        let at = (edit.file.clone(), edit.line);
        let through = |lines: &BTreeSet<Line>| {
            rule.iter()
                .any(|(file, first, last)| lines.range((file.clone(), *first)..=(file.clone(), *last)).next().is_some())
        };
        let mut ranked: Vec<(u8, usize, usize)> = Vec::new();
        for (index, lines) in self.lines.iter().enumerate() {
            let rank = if lines.contains(&at) {
                0
            } else if through(lines) {
                1
            } else {
                2
            };
            ranked.push((rank, lines.len(), index));
        }
        // A definition or a default can matter to a test that does not go through it.
        let all = matches!(edit.operator, Operator::DropRule) || rule.is_empty();
        ranked.retain(|(rank, ..)| all || *rank < 2);
        ranked.sort_unstable();
        ranked.into_iter().map(|(_, _, index)| index).collect()
    }
}

/// A test over the unchanged bundle.
struct Traced {
    outcome: TrialOutcome,
    lines: BTreeSet<Line>,
    took: Duration,
}

/// Every test with its lines, in the order of the tests; each thread has an engine of its own.
fn traced(source: &Source<'_>, tests: &[TrialTest], threads: usize) -> Result<Vec<Traced>, MutateError> {
    let next = AtomicUsize::new(0);
    let share = || -> Result<Vec<(usize, Traced)>, MutateError> {
        let mut trial = Trials::new(Arc::clone(&source.bundle)).map_err(engine)?.unchanged();
        let mut done = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(test) = tests.get(index) else { return Ok(done) };
            // By the wall clock: a limit, not part of an answer.
            let start = Instant::now();
            let (outcome, lines) = trial.trace(test, BASE_LIMIT);
            done.push((index, Traced { outcome, lines, took: start.elapsed() }));
        }
    };
    let ended = || MutateError::Engine("a test ended its thread".to_owned());
    let mut all = std::thread::scope(|scope| {
        let mut running = Vec::new();
        for _ in 0..threads.clamp(1, 64) {
            let thread = std::thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, share);
            running.push(thread.map_err(|error| MutateError::Engine(error.to_string()))?);
        }
        let mut all = Vec::new();
        for thread in running {
            all.extend(thread.join().map_err(|_| ended())??);
        }
        Ok::<_, MutateError>(all)
    })?;
    all.sort_by_key(|(index, _)| *index);
    Ok(all.into_iter().map(|(_, traced)| traced).collect())
}

fn engine(error: EngineError) -> MutateError {
    MutateError::Engine(error.to_string())
}

/// By first name of the data, the tests that depend on it: they fail without it, or their file reads it.
fn readers(
    source: &Source<'_>,
    trials: &Trials,
    roots: &BTreeSet<&str>,
    (tests, limits): (&[TrialTest], &[Duration]),
) -> BTreeMap<String, Vec<usize>> {
    let mut readers = BTreeMap::new();
    for root in roots {
        let mut data = source.bundle.data().clone();
        data.remove(*root);
        let Ok(mut trial) = trials.with_data(&data) else { continue };
        let (mut failing, mut naming) = (Vec::new(), Vec::new());
        for (index, (test, limit)) in tests.iter().zip(limits).enumerate() {
            if trial.run(test, *limit) != TrialOutcome::Passed {
                failing.push(index);
            } else if source.text(test.file()).is_some_and(|text| reads(text, root)) {
                naming.push(index);
            }
        }
        failing.extend(naming);
        readers.insert((*root).to_owned(), failing);
    }
    readers
}

/// The document that a change of the data is in, none for a change of Rego.
fn root_of(edit: &Edit) -> Option<&str> {
    let path = edit.subject.strip_prefix("data.").filter(|_| !edit.file.ends_with(".rego"))?;
    path.split('.').next()
}

/// Whether a text reads `data.<root>` and does not only replace it with `with`.
fn reads(text: &str, root: &str) -> bool {
    let name = format!("data.{root}");
    text.match_indices(&name).any(|(at, _)| !text.get(..at).is_some_and(|before| before.trim_end().ends_with("with")))
}

/// What all threads share.
pub(super) struct Court<'a> {
    pub(super) source: &'a Source<'a>,
    pub(super) baseline: &'a Baseline,
    pub(super) edits: &'a [Edit],
    /// Rules that are short ways to what another rule says at length.
    pub(super) fast_paths: &'a BTreeSet<String>,
    /// By rule, the tests that noticed a change of it: the likeliest to notice the next one.
    pub(super) noticed: Mutex<BTreeMap<String, Vec<usize>>>,
}

impl Court<'_> {
    /// A verdict for each edit, in their order; `heard` is told how many there are so far.
    pub(super) fn sit(
        &self,
        threads: usize,
        heard: &mut dyn FnMut(usize, &Verdict),
    ) -> Result<Vec<Verdict>, MutateError> {
        let next = AtomicUsize::new(0);
        let (sender, receiver) = channel();
        let mut verdicts: BTreeMap<usize, Verdict> = BTreeMap::new();
        std::thread::scope(|scope| {
            for _ in 0..threads.clamp(1, 64) {
                let (sender, next) = (sender.clone(), &next);
                let thread = std::thread::Builder::new().stack_size(STACK_BYTES);
                if let Err(error) = thread.spawn_scoped(scope, move || self.judge(next, &sender)) {
                    return Err(MutateError::Engine(error.to_string()));
                }
            }
            drop(sender);
            for (index, verdict) in receiver {
                let verdict = verdict?;
                verdicts.insert(index, verdict);
                if let Some(verdict) = verdicts.get(&index) {
                    heard(verdicts.len(), verdict);
                }
            }
            Ok(())
        })?;
        Ok(verdicts.into_values().collect())
    }

    fn judge(&self, next: &AtomicUsize, sender: &Sender<(usize, Result<Verdict, MutateError>)>) {
        let mut trials = match Trials::new(Arc::clone(&self.source.bundle)) {
            Ok(trials) => trials,
            Err(error) => return drop(sender.send((0, Err(MutateError::Engine(error.to_string()))))),
        };
        let modules = self.source.bundle.modules();
        let Ok(workshop) = Workshop::open(&self.source.rego, self.source.bundle.data(), modules) else {
            return drop(
                sender.send((0, Err(MutateError::Engine("the files changed while they were read".to_owned())))),
            );
        };
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(edit) = self.edits.get(index) else { return };
            if sender.send((index, Ok(self.try_one(&workshop, &mut trials, edit)))).is_err() {
                return;
            }
        }
    }

    fn try_one(&self, workshop: &Workshop<'_>, trials: &mut Trials, edit: &Edit) -> Verdict {
        let Some(mut trial) = self.changed(workshop, trials, edit) else { return Verdict::Stillborn };
        let rule = self.source.lines_of(&edit.subject);
        let order = self.order(edit, rule);
        for index in &order {
            let (Some(test), Some(limit)) = (self.baseline.tests.get(*index), self.baseline.limits.get(*index)) else {
                continue;
            };
            let outcome = trial.run(test, *limit);
            if outcome != TrialOutcome::Passed {
                self.remember(edit, *index);
            }
            match outcome {
                TrialOutcome::Passed => {}
                TrialOutcome::Failed | TrialOutcome::Panicked => return Verdict::Killed(test.name()),
                TrialOutcome::TimedOut => return Verdict::TimedOut(test.name()),
            }
        }
        if self.fast_paths.contains(&edit.subject) { self.detour(&mut trial, &order, rule) } else { Verdict::Survived }
    }

    /// The tests for a change; those that noticed the last ones of the same rule come first.
    fn order(&self, edit: &Edit, rule: &[(String, usize, usize)]) -> Vec<usize> {
        let order = self.baseline.order(edit, rule);
        let noticed = self.noticed.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(known) = noticed.get(&edit.subject) else { return order };
        let (mut first, rest): (Vec<usize>, Vec<usize>) = order.into_iter().partition(|index| known.contains(index));
        first.sort_by_key(|index| known.iter().position(|other| other == index));
        first.extend(rest);
        first
    }

    fn remember(&self, edit: &Edit, test: usize) {
        let mut noticed = self.noticed.lock().unwrap_or_else(PoisonError::into_inner);
        let known = noticed.entry(edit.subject.clone()).or_default();
        known.retain(|other| *other != test);
        known.insert(0, test);
        known.truncate(MAX_REMEMBERED);
    }

    /// None for what is no policy.
    fn changed(&self, workshop: &Workshop<'_>, trials: &mut Trials, edit: &Edit) -> Option<Trial> {
        let text = edit.apply(self.source.text(&edit.file)?)?;
        if edit.file.ends_with(".rego") {
            return trials.with_modules(&workshop.with(&edit.file, &text).ok()?).ok();
        }
        let replace = |(path, content): (&str, &[u8])| {
            let content = if path == edit.file { text.as_bytes() } else { content };
            (path.to_owned(), content.to_vec())
        };
        let bundle = Bundle::parse(&BundleFiles::new(self.source.files.iter().map(replace)).ok()?).ok()?;
        trials.with_data(bundle.data()).ok()
    }

    /// A short way that is narrower gives the same answers, by the long way. A test that now goes where it did not go
    /// before has noticed.
    fn detour(&self, trial: &mut Trial, order: &[usize], rule: &[(String, usize, usize)]) -> Verdict {
        let own = |(file, line): &Line| rule.iter().any(|(f, first, last)| f == file && (first..=last).contains(&line));
        for index in order {
            let (Some(test), Some(limit), Some(before)) =
                (self.baseline.tests.get(*index), self.baseline.limits.get(*index), self.baseline.lines.get(*index))
            else {
                continue;
            };
            let (_, after) = trial.trace(test, *limit);
            if after.difference(before).any(|line| !own(line)) {
                return Verdict::Detour(test.name());
            }
        }
        Verdict::Survived
    }
}
