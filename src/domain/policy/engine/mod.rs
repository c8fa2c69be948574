//! The engine: regorus's interpreter over one bundle, for one thread.
//!
//! Every question has an answer: an error, a deadline, a panic, an undefined or a malformed result is a denial with its
//! own reason. An [`Evaluator`] is built from source in the thread that uses it (engines that share values do not
//! scale), asked through `set_input` and `eval_rule`, and rebuilt after a panic. The register machine of regorus is
//! faster and wrong; it is not used. A builtin that does not return cannot be stopped from here: the thread pool keeps
//! a deadline of its own (`adapters::pdp`).

mod answer;
pub mod extensions;
mod suite;
mod trial;
mod value;

use std::num::NonZeroU32;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use regorus::utils::limits::ExecutionTimerConfig;
use regorus::{Engine, LimitError, Value};

pub use suite::{
    Coverage, Explanation, FileRange, Outcome, SubResult, Suite, TermValue, TestFailure, TestItem, TestReport, Verdict,
    discover, run_share_of_tests, run_tests,
};
pub use trial::{Line, Trial, TrialOutcome, TrialTest, Trials, trial_tests};

use self::extensions::Session;
use super::bundle::Bundle;
use super::profile::{ENTRY_POINTS, MergedModule};
use super::{Assessment, Decision, IssueDecision, PolicyFault, PolicyInput};

/// The longest that one evaluation may take, unless [`Evaluator::within`] says otherwise. By the wall clock, and many
/// times a decision's work: a thread that the scheduler sets aside for some slices must not deny for it.
pub const EVALUATION_LIMIT: Duration = Duration::from_millis(50);
/// Preparing schedules every rule, which takes longer than any decision.
const PREPARATION_LIMIT: Duration = Duration::from_secs(5);
const CHECK_INTERVAL: NonZeroU32 = NonZeroU32::MIN.saturating_add(63);

const POA: &str = "data.atb.poa.decision";
const ISSUE: &str = "data.atb.issue.decision";
const APPROVAL: &str = "data.atb.approval.assessment";

/// Why regorus does not take a bundle that is inside the safe profile.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {what}")]
pub struct EngineError {
    /// `file:line`, as far as it is known.
    pub place: String,
    /// regorus's message.
    pub what: String,
}

/// One engine over one bundle.
pub struct Evaluator {
    bundle: Arc<Bundle>,
    /// None after a panic, until the next question.
    engine: Option<Engine>,
    session: Arc<Session>,
    limit: Duration,
}

impl Evaluator {
    /// Loads the bundle's policy. Call it in the thread that will ask.
    ///
    /// # Errors
    /// When regorus does not parse a merged package or does not take the data.
    pub fn new(bundle: Arc<Bundle>) -> Result<Self, EngineError> {
        let session = Session::new();
        let engine = load_with(bundle.modules().policy(), &bundle, &session)?;
        Ok(Self { bundle, engine: Some(engine), session, limit: EVALUATION_LIMIT })
    }

    /// The same with another limit for one evaluation; before [`Evaluator::prepare`].
    #[must_use]
    pub fn within(self, limit: Duration) -> Self {
        Self { limit, ..self }
    }

    /// Evaluates every entry point once over an empty input, so that the first question pays for nothing. What the
    /// policy answers to it does not matter; that it can answer does.
    ///
    /// # Errors
    /// When regorus cannot schedule the rules or cannot finish.
    pub fn prepare(&mut self) -> Result<(), EngineError> {
        for entry in ENTRY_POINTS {
            let path = format!("data.{entry}");
            let answer = match self.engine.as_mut() {
                Some(engine) => {
                    engine.set_execution_timer_config(timer(PREPARATION_LIMIT));
                    engine.set_input(Value::new_object());
                    catch_unwind(AssertUnwindSafe(|| {
                        engine.eval_rule(path.clone()).map(drop).map_err(|e| e.to_string())
                    }))
                    .unwrap_or_else(|_| Err("the engine panicked".to_owned()))
                }
                None => Err("the engine panicked before".to_owned()),
            };
            answer.map_err(|report| explain(self.bundle.modules().policy(), &path, &report))?;
        }
        if let Some(engine) = self.engine.as_mut() {
            engine.set_execution_timer_config(timer(self.limit));
        }
        Ok(())
    }

    /// The bundle that is evaluated.
    pub fn bundle(&self) -> &Arc<Bundle> {
        &self.bundle
    }

    /// `data.atb.poa.decision`.
    pub fn decide(&mut self, input: &PolicyInput) -> Decision {
        self.evaluate(POA, input).and_then(|v| answer::decision(&v)).unwrap_or_else(Decision::fault)
    }

    /// `data.atb.issue.decision`.
    pub fn issue(&mut self, input: &PolicyInput) -> IssueDecision {
        self.evaluate(ISSUE, input).and_then(|v| answer::issue(&v)).unwrap_or_else(IssueDecision::fault)
    }

    /// `data.atb.approval.assessment`.
    pub fn assess(&mut self, input: &PolicyInput) -> Assessment {
        self.evaluate(APPROVAL, input).and_then(|v| answer::assessment(&v)).unwrap_or_else(Assessment::fault)
    }

    /// Any rule of the policy, `path` being what follows `data.`, as JSON.
    ///
    /// # Errors
    /// The fault; [`PolicyFault::Undefined`] also where there is no such rule.
    pub fn query(&mut self, path: &str, input: &PolicyInput) -> Result<serde_json::Value, PolicyFault> {
        if !self.bundle.modules().has_rule(path) {
            return Err(PolicyFault::Undefined);
        }
        let value = self.evaluate(&format!("data.{path}"), input)?;
        serde_json::to_value(&value).map_err(|_| PolicyFault::Malformed)
    }

    fn evaluate(&mut self, path: &str, input: &PolicyInput) -> Result<Value, PolicyFault> {
        let input = value::input(input.as_json()).ok_or(PolicyFault::Error)?;
        let mut engine = match self.engine.take() {
            Some(engine) => engine,
            None => load_with(self.bundle.modules().policy(), &self.bundle, &self.session)
                .map_err(|_| PolicyFault::Error)?,
        };
        self.session.start(&input);
        engine.set_execution_timer_config(timer(self.limit));
        engine.set_input(input);
        // A panic leaves the engine in an unknown state: it is dropped here and loaded anew for the next question.
        let answer =
            catch_unwind(AssertUnwindSafe(|| engine.eval_rule(path.to_owned()))).map_err(|_| PolicyFault::Panic)?;
        self.engine = Some(engine);
        match answer {
            // regorus may have gone on without the definition that failed.
            _ if self.session.exceeded() => Err(PolicyFault::Error),
            Ok(Value::Undefined) => Err(PolicyFault::Undefined),
            Ok(value) => Ok(value),
            Err(error) if is_time_limit(&error) => Err(PolicyFault::Timeout),
            Err(_) => Err(PolicyFault::Error),
        }
    }
}

/// Inside a function regorus wraps the limit's error into a text of its own.
fn is_time_limit(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(LimitError::TimeLimitExceeded { .. }))
        || error.to_string().contains("exceeded time limit")
}

fn load(modules: &[MergedModule], bundle: &Bundle) -> Result<Engine, EngineError> {
    load_with(modules, bundle, &Session::new())
}

fn load_with(modules: &[MergedModule], bundle: &Bundle, session: &Arc<Session>) -> Result<Engine, EngineError> {
    let mut engine = Engine::new();
    let sources: Vec<&str> = modules.iter().map(MergedModule::source).collect();
    let legacy = modules.iter().any(MergedModule::is_legacy);
    extensions::install(&mut engine, session, &sources, legacy).map_err(|error| explain(modules, "data", &error))?;
    engine.set_strict_builtin_errors(false);
    engine.set_execution_timer_config(timer(EVALUATION_LIMIT));
    for module in modules {
        let path = module.package().to_owned();
        engine
            .add_policy(path.clone(), module.source().to_owned())
            .map_err(|error| explain(modules, &path, &error.to_string()))?;
    }
    let data = value::convert(&serde_json::Value::Object(bundle.data().clone()));
    engine.add_data(data).map_err(|error| explain(modules, "data", &error.to_string()))?;
    Ok(engine)
}

fn timer(limit: Duration) -> ExecutionTimerConfig {
    ExecutionTimerConfig { limit, check_interval: CHECK_INTERVAL }
}

/// regorus names the merged source and its line; people know their files.
fn explain(modules: &[MergedModule], path: &str, report: &str) -> EngineError {
    let header = report.lines().find_map(|line| line.strip_prefix("--> "));
    let origin = header.and_then(|header| {
        let mut parts = header.split(':');
        let package = parts.next()?;
        let module = modules.iter().find(|m| m.package() == package)?;
        let (file, line) = module.origin(parts.next()?.parse().ok()?)?;
        Some(format!("{file}:{line}"))
    });
    let what = report.rsplit("error: ").next().unwrap_or(report).trim().chars().take(300).collect();
    EngineError { place: origin.unwrap_or_else(|| path.to_owned()), what }
}

#[cfg(test)]
mod acts;
#[cfg(test)]
mod approvals;
#[cfg(test)]
mod tests;
