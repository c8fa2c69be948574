//! How long decisions take: each entry point by tier and answer, and each rule, over sample inputs.
//!
//! What is measured is what production does: JSON in, the interpreter, the answer read strictly. The inputs are those
//! that are given, or those of the bundle's tables of cases that run against the bundle's own data. Who measures hands
//! in the clock.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::domain::policy::engine::{Evaluator, Suite};
use crate::domain::policy::profile::ENTRY_POINTS;
use crate::domain::policy::{Bundle, PolicyInput};

const POA: &str = "atb.poa.decision";
const ISSUE: &str = "atb.issue.decision";
const APPROVAL: &str = "atb.approval.assessment";
/// Rules are many: each gets a part of the evaluations.
const RULE_SHARE: u32 = 4;

/// What is to be measured.
#[derive(Debug)]
pub struct Plan {
    samples: Vec<Sample>,
    skipped: usize,
    rules: bool,
    /// Evaluations of each rule and input.
    pub iterations: u32,
    /// Evaluations before the first that counts.
    pub warm_up: u32,
}

#[derive(Debug)]
struct Sample {
    query: String,
    input: PolicyInput,
}

/// What was measured together.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Key {
    /// An entry point or another rule.
    pub kind: Kind,
    /// `data.…`
    pub query: String,
    /// The answer's tier.
    pub tier: Option<String>,
    /// The answer's yes or no.
    pub allow: Option<bool>,
}

/// An entry point or another rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// What ATB asks.
    EntryPoint,
    /// Any other rule.
    Rule,
}

/// The times of one thread, in nanoseconds.
pub type Times = BTreeMap<Key, Vec<u64>>;

/// The report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BenchReport {
    /// The bundle's revision.
    pub revision: String,
    /// Its digest.
    pub digest: String,
    /// How many acts it has.
    pub acts: usize,
    /// Engines at work at a time.
    pub threads: usize,
    /// Inputs.
    pub samples: usize,
    /// Cases left out, because they stand other data in place of the bundle's.
    pub skipped: usize,
    /// What was measured.
    pub rows: Vec<Row>,
}

/// One line of the report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// What.
    #[serde(flatten)]
    pub key: Key,
    /// How many evaluations.
    pub evaluations: usize,
    /// Half of them took no longer.
    pub p50_ns: u64,
    /// 99 of 100 took no longer.
    pub p99_ns: u64,
    /// The shortest.
    pub min_ns: u64,
    /// The longest.
    pub max_ns: u64,
}

impl Plan {
    /// The samples: `inputs` for `query` or for every entry point, or the bundle's cases.
    ///
    /// # Errors
    /// When there is nothing to ask.
    pub fn of(bundle: &Arc<Bundle>, inputs: &[Value], query: Option<&str>, rules: bool) -> Result<Self, String> {
        let mut plan = Self { samples: Vec::new(), skipped: 0, rules, iterations: 1_000, warm_up: 100 };
        let query = query.map(|query| query.trim_start_matches("data.").to_owned());
        if let Some(query) = query.as_ref().filter(|query| !bundle.modules().has_rule(query)) {
            return Err(format!("there is no rule `data.{query}`"));
        }
        if inputs.is_empty() {
            plan.add_cases(bundle, query.as_deref())?;
        }
        let asked: Vec<String> =
            query.map_or_else(|| ENTRY_POINTS.iter().map(|entry| (*entry).to_owned()).collect(), |query| vec![query]);
        for input in inputs {
            let input = PolicyInput::from_recorded(input.to_string());
            plan.samples.extend(asked.iter().map(|query| Sample { query: query.clone(), input: input.clone() }));
        }
        if plan.samples.is_empty() {
            return Err("there is no input: name files with -i, or add a table of cases to the bundle".to_owned());
        }
        Ok(plan)
    }

    fn add_cases(&mut self, bundle: &Arc<Bundle>, only: Option<&str>) -> Result<(), String> {
        if bundle.cases().is_empty() {
            return Ok(());
        }
        let mut suite = Suite::new(Arc::clone(bundle)).map_err(|error| error.to_string())?;
        for (t, table) in bundle.cases().iter().enumerate() {
            let query = table.query.trim_start_matches("data.").to_owned();
            for c in 0..table.cases.len() {
                match suite.input_of(t, c)? {
                    None => self.skipped += 1,
                    Some(_) if only.is_some_and(|only| only != query) || !bundle.modules().has_rule(&query) => {}
                    Some(input) => {
                        let input = PolicyInput::from_recorded(input.to_string());
                        self.samples.push(Sample { query: query.clone(), input });
                    }
                }
            }
        }
        Ok(())
    }

    /// Measures in this thread; `clock` counts nanoseconds from anywhere.
    ///
    /// # Errors
    /// When regorus does not take the bundle.
    pub fn run(&self, bundle: &Arc<Bundle>, clock: &dyn Fn() -> u64) -> Result<Times, String> {
        let mut evaluator = Evaluator::new(Arc::clone(bundle)).map_err(|error| error.to_string())?;
        evaluator.prepare().map_err(|error| error.to_string())?;
        let mut times = Times::new();
        for sample in &self.samples {
            let key = entry(&mut evaluator, sample);
            let taken = self.times(self.iterations, clock, || drop(entry(&mut evaluator, sample)));
            times.entry(key).or_default().extend(taken);
            if self.rules {
                self.rules_of(&mut evaluator, bundle, sample, clock, &mut times);
            }
        }
        Ok(times)
    }

    /// Every rule of the question's package that has a value for this input.
    fn rules_of(
        &self,
        evaluator: &mut Evaluator,
        bundle: &Bundle,
        sample: &Sample,
        clock: &dyn Fn() -> u64,
        times: &mut Times,
    ) {
        let package = sample.query.rsplit_once('.').map_or("", |(package, _)| package);
        let inside = |rule: &&str| {
            rule.strip_prefix(package).and_then(|rest| rest.strip_prefix('.')).is_some_and(|rest| !rest.contains('.'))
        };
        let rules: BTreeSet<&str> = bundle.modules().rules().filter(inside).filter(|r| *r != sample.query).collect();
        for rule in rules {
            if evaluator.query(rule, &sample.input).is_err() {
                continue;
            }
            let iterations = (self.iterations / RULE_SHARE).max(1);
            let taken = self.times(iterations, clock, || drop(evaluator.query(rule, &sample.input)));
            let key = Key { kind: Kind::Rule, query: format!("data.{rule}"), tier: None, allow: None };
            times.entry(key).or_default().extend(taken);
        }
    }

    fn times(&self, iterations: u32, clock: &dyn Fn() -> u64, mut ask: impl FnMut()) -> Vec<u64> {
        (0..self.warm_up).for_each(|_| ask());
        let one = |_| {
            let start = clock();
            ask();
            clock().saturating_sub(start)
        };
        (0..iterations).map(one).collect()
    }
}

/// Asks as production asks, and says what the answer was.
fn entry(evaluator: &mut Evaluator, Sample { query, input }: &Sample) -> Key {
    let (tier, allow) = match query.as_str() {
        POA => {
            let decision = evaluator.decide(input);
            (decision.tier, Some(decision.allow))
        }
        ISSUE => {
            let issue = evaluator.issue(input);
            (issue.decision.tier, Some(issue.decision.allow))
        }
        APPROVAL => (None, Some(evaluator.assess(input).met)),
        other => {
            drop(evaluator.query(other, input));
            (None, None)
        }
    };
    let kind = if ENTRY_POINTS.contains(&query.as_str()) { Kind::EntryPoint } else { Kind::Rule };
    Key { kind, query: format!("data.{query}"), tier: tier.map(|tier| tier.as_str().to_owned()), allow }
}

/// The report over the times of all threads.
pub fn report(bundle: &Bundle, plan: &Plan, times: Vec<Times>, threads: usize) -> BenchReport {
    let mut whole = Times::new();
    for (key, taken) in times.into_iter().flatten() {
        whole.entry(key).or_default().extend(taken);
    }
    BenchReport {
        revision: bundle.revision().to_string(),
        digest: bundle.digest().to_string(),
        acts: bundle.catalogue().len(),
        threads,
        samples: plan.samples.len(),
        skipped: plan.skipped,
        rows: whole.into_iter().map(|(key, taken)| row(key, taken)).collect(),
    }
}

fn row(key: Key, mut taken: Vec<u64>) -> Row {
    taken.sort_unstable();
    let at = |share: usize| taken.get((taken.len() * share / 100).min(taken.len().saturating_sub(1))).copied();
    Row {
        key,
        evaluations: taken.len(),
        p50_ns: at(50).unwrap_or_default(),
        p99_ns: at(99).unwrap_or_default(),
        min_ns: at(0).unwrap_or_default(),
        max_ns: taken.last().copied().unwrap_or_default(),
    }
}
