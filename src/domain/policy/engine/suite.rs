//! The bundle's own tests: every rule whose name starts with `test_` must be true.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use regorus::{Engine, Value};
use serde::{Deserialize, Serialize};

use super::{EngineError, explain, load, timer};
use crate::domain::policy::bundle::Bundle;
use crate::domain::policy::profile::TestRule;

/// A test asks many questions.
const TEST_LIMIT: Duration = Duration::from_secs(5);

/// What came of the tests.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TestReport {
    /// How many tests were true.
    pub passed: usize,
    /// The others.
    pub failed: Vec<TestFailure>,
}

/// A test that is not true.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TestFailure {
    /// The dotted package.
    pub package: String,
    /// The rule.
    pub name: String,
    /// The file.
    pub file: String,
    /// The line.
    pub line: usize,
    /// What it was instead.
    pub detail: String,
}

/// Runs every test.
///
/// # Errors
/// When regorus does not load the tests. A test that fails or cannot be evaluated is in the report.
pub fn run_tests(bundle: &Bundle) -> Result<TestReport, EngineError> {
    run_share_of_tests(bundle, 0, 1)
}

/// Runs every `shares`-th test from `share` on, so that several engines can divide the work.
///
/// # Errors
/// As [`run_tests`].
pub fn run_share_of_tests(bundle: &Bundle, share: usize, shares: usize) -> Result<TestReport, EngineError> {
    let modules = bundle.modules().with_tests();
    let mut engine = load(modules, bundle)?;
    let mut report = TestReport::default();
    for test in bundle.modules().tests().iter().skip(share).step_by(shares.max(1)) {
        match outcome(&mut engine, test) {
            Outcome::Passed => report.passed += 1,
            Outcome::Failed(detail) => report.failed.push(failure(test, detail)),
            Outcome::Error(text) => {
                let error = explain(modules, &test.package, &text);
                report.failed.push(failure(test, error.to_string()));
            }
            Outcome::Panicked => {
                report.failed.push(failure(test, "the engine panicked".to_owned()));
                engine = load(modules, bundle)?;
            }
        }
    }
    Ok(report)
}

enum Outcome {
    Passed,
    Failed(String),
    Error(String),
    Panicked,
}

fn outcome(engine: &mut Engine, test: &TestRule) -> Outcome {
    engine.set_execution_timer_config(timer(TEST_LIMIT));
    engine.set_input(Value::new_object());
    let path = format!("data.{}.{}", test.package, test.name);
    match catch_unwind(AssertUnwindSafe(|| engine.eval_rule(path))) {
        Ok(Ok(Value::Bool(true))) => Outcome::Passed,
        Ok(Ok(Value::Undefined)) => Outcome::Failed("undefined".to_owned()),
        Ok(Ok(value)) => Outcome::Failed(value.to_string().chars().take(200).collect()),
        Ok(Err(error)) => Outcome::Error(error.to_string()),
        Err(_) => Outcome::Panicked,
    }
}

fn failure(test: &TestRule, detail: String) -> TestFailure {
    let TestRule { package, name, file, line } = test.clone();
    TestFailure { package, name, file, line, detail }
}
