//! The tests at activation: a bundle of which one is not true is not put in force.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Outcome, Suite, TestItem, Verdict, discover};
use crate::domain::policy::bundle::Bundle;
use crate::domain::policy::engine::EngineError;

/// What came of the tests at activation.
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
    /// The dotted package, or the table of cases.
    pub package: String,
    /// The rule, or the case.
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
pub fn run_tests(bundle: &Arc<Bundle>) -> Result<TestReport, EngineError> {
    run_share_of_tests(bundle, 0, 1)
}

/// Runs every `shares`-th test from `share` on, so that several engines can divide the work.
///
/// # Errors
/// As [`run_tests`].
pub fn run_share_of_tests(bundle: &Arc<Bundle>, share: usize, shares: usize) -> Result<TestReport, EngineError> {
    // At activation the first finding is what counts; `atb policy test` explains.
    let mut suite = Suite::new(Arc::clone(bundle))?.quietly();
    let mut report = TestReport::default();
    for item in discover(bundle).iter().skip(share).step_by(shares.max(1)) {
        let Outcome { verdict, explanations, .. } = suite.run(item);
        let detail = match verdict {
            Verdict::Passed => {
                report.passed += 1;
                continue;
            }
            Verdict::Skipped => continue,
            Verdict::Failed(value) => explanations.first().map_or(value, |why| why.text.clone()),
            Verdict::Error(text) => text,
        };
        let TestItem { file, line, name, package, .. } = item.clone();
        let package = package.trim_start_matches("data.").to_owned();
        report.failed.push(TestFailure { package, name, file, line, detail });
    }
    Ok(report)
}
