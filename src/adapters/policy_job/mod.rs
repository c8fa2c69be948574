//! Work on a bundle that somebody is still writing, in a child process: tests, queries, measurements.
//!
//! ```text
//! parent ──job, files (stdin)──▶ `atb __policy-job`: limits, parse, threads with 16 MiB of stack, engines
//!        ◀─events, one JSON a line (stdout)──┘
//! ```
//!
//! Some texts of Rego end the process that evaluates them. The child says what it starts and what it has finished; when
//! it dies, the parent knows which tests were running, runs those one at a time, names the one that did it as an error,
//! and goes on with the rest. The child has a limit of memory and no environment. The parent never parses the texts.

mod child;
mod lines;
mod parent;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::domain::policy::bundle::BundleError;
use crate::domain::policy::engine::{Coverage, Outcome, TestItem};
use crate::service::toolchain::bench::BenchReport;

pub use child::run_job_child;
pub use lines::{Answered, LinesJob, eval_lines};
pub use parent::{JobError, TestRun, bench, eval, test};

/// The hidden subcommand that runs [`run_job_child`].
pub const JOB_SUBCOMMAND: &str = "__policy-job";

/// What the child is to do.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Job {
    Test(TestJob),
    Eval(EvalJob),
    Lines(LinesJob),
    Bench(BenchJob),
}

/// Which tests, and how.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TestJob {
    /// Only tests whose full name matches.
    pub run: Option<String>,
    /// Only these, by their place in the list.
    pub only: Option<Vec<usize>>,
    /// Whether lines are measured.
    pub coverage: bool,
    /// The longest that one test may take, in milliseconds.
    pub timeout_ms: u64,
    /// Engines at work at a time.
    pub parallel: usize,
    /// Whether each test is run again and again for its time.
    pub bench: bool,
}

/// A query.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvalJob {
    /// The query.
    pub query: String,
    /// Its input; none is an empty object.
    pub input: Option<Value>,
    /// The longest that it may take, in milliseconds.
    pub timeout_ms: u64,
}

/// What is measured.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BenchJob {
    /// Inputs; none for those of the bundle's tables of cases.
    pub inputs: Vec<Value>,
    /// One rule, `data.…`; none for the entry points.
    pub query: Option<String>,
    /// Evaluations of each rule and input.
    pub iterations: u32,
    /// Evaluations before the first that counts.
    pub warm_up: u32,
    /// Engines at work at a time.
    pub threads: usize,
    /// Whether each rule of the packages is measured too.
    pub rules: bool,
}

/// One test that was run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Finished {
    /// Its place in the list.
    pub index: usize,
    /// What came of it.
    pub outcome: Outcome,
    /// How long one run took.
    pub nanos: u64,
    /// How many runs that is the mean of.
    pub runs: u64,
}

/// What a query gave.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evaluated {
    /// As `opa eval` says it, `{"result": […]}`; or why not.
    pub answer: Result<Value, String>,
    /// Reading the bundle.
    pub parse_nanos: u64,
    /// Loading the engine.
    pub load_nanos: u64,
    /// Evaluating.
    pub eval_nanos: u64,
}

/// What the child says, one a line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Event {
    Refused(BundleError),
    Unusable(String),
    Tests(Vec<TestItem>),
    Started(usize),
    Finished(Finished),
    Coverage(Coverage),
    Evaluated(Evaluated),
    Answered(usize, Answered),
    Benched(BenchReport),
    End,
}
