//! The bundle's own tests: every rule whose name starts with `test_` must be true, and every case of a table must give
//! what it expects. Discovery is OPA's (1.x): any package, `todo_test_` is counted and not run, `test_x[name] if …` is
//! one test of many cases.
//!
//! ```text
//! Bundle ──discover──▶ [TestItem] ──Suite::run──▶ Outcome { verdict, cases, explanations }
//!                                        └── Suite::covered: the lines that this test took
//! ```
//!
//! A [`Suite`] is one engine for one thread. Nothing here looks at a clock: who measures does it around `run`. A panic is
//! an error of that test and the engine is loaded anew; what ends the process (a stack that overflows, memory) is kept
//! in a child process by `adapters::policy_job`.
//!
//! Not OPA's: a runtime conflict is an error of the test in both; a builtin's error makes the expression undefined, as
//! `opa test` has it by default.

mod activation;
mod coverage;
mod explain;
mod nested;
mod table;
mod written;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use regorus::unstable::{LiteralStmt, Rule};
use regorus::{Engine, Value};
use serde::{Deserialize, Serialize};

use super::{EngineError, explain as place_of, load, timer};
use crate::domain::policy::bundle::Bundle;
use crate::domain::policy::profile::{MergedModule, TestRule, parse_module};

pub use activation::{TestFailure, TestReport, run_share_of_tests, run_tests};
pub use coverage::{Coverage, FileRange};
pub use explain::{Explanation, TermValue};
pub(in crate::domain::policy::engine) use table::PreparedCase;

use coverage::Measure;
use nested::Nested;
use table::Tables;
use written::written;

/// A test asks many questions.
const TEST_LIMIT: Duration = Duration::from_secs(5);
/// The most failures that one suite explains: each costs an engine.
const MAX_EXPLAINED: usize = 20;
const MAX_SHOWN: usize = 200;

/// One thing to run.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TestItem {
    /// The file, relative to the bundle.
    pub file: String,
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
    /// The dotted package with `data.`, or `cases.` and the table.
    pub package: String,
    /// The rule, or the case's name.
    pub name: String,
    /// Counted and not run.
    pub todo: bool,
    /// Which case of which table, for one of a table.
    pub case: Option<(usize, usize)>,
}

impl TestItem {
    /// What a filter is held against, and what people read.
    pub fn full_name(&self) -> String {
        format!("{}.{}", self.package, self.name)
    }
}

/// Every test of a bundle, in the order of files and lines. The position in the list names a test.
pub fn discover(bundle: &Bundle) -> Vec<TestItem> {
    let rules = bundle.modules().tests().iter().map(|test| {
        let TestRule { package, name, file, line, column } = test.clone();
        TestItem { file, line, column, package: format!("data.{package}"), name, todo: test.is_todo(), case: None }
    });
    let tables = bundle.cases().iter().enumerate().flat_map(|(t, table)| {
        table.cases.iter().enumerate().map(move |(c, case)| TestItem {
            file: table.file.clone(),
            line: case.line,
            column: case.column,
            package: format!("cases.{}", table.name),
            name: case.name.clone(),
            todo: false,
            case: Some((t, c)),
        })
    });
    let mut items: Vec<TestItem> = rules.chain(tables).collect();
    items.sort();
    items
}

/// What came of one test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outcome {
    /// Passed or not.
    pub verdict: Verdict,
    /// By case, for a test of cases.
    pub cases: BTreeMap<String, SubResult>,
    /// Why it failed, as far as it can be said.
    pub explanations: Vec<Explanation>,
}

/// Passed or not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// True.
    Passed,
    /// Undefined, or something else than true; what it was.
    Failed(String),
    /// A `todo_test_`.
    Skipped,
    /// It could not be evaluated.
    Error(String),
}

/// One case of a test of cases, or a group of them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SubResult {
    /// Whether it, or one below it, failed.
    pub fail: bool,
    /// Those below it.
    pub cases: BTreeMap<String, SubResult>,
}

impl Outcome {
    fn of(verdict: Verdict) -> Self {
        Self { verdict, cases: BTreeMap::new(), explanations: Vec::new() }
    }
}

/// One engine over a bundle and its tests.
pub struct Suite {
    bundle: Arc<Bundle>,
    modules: Vec<MergedModule>,
    engine: Option<Engine>,
    nested: Nested,
    tables: Tables,
    measure: Option<Measure>,
    limit: Duration,
    explained: usize,
}

impl Suite {
    /// Loads the bundle with its tests. Call it in the thread that will run them, with a stack of 16 MiB.
    ///
    /// # Errors
    /// When regorus does not take the tests.
    pub fn new(bundle: Arc<Bundle>) -> Result<Self, EngineError> {
        let plain = bundle.modules().with_tests().to_vec();
        let nested = Nested::find(&bundle);
        let modules = nested.add_to(&plain);
        // What lists the cases of a test leaves out statements of its body; where that does not hold together, the
        // cases that fail are not listed by name, and the test fails all the same.
        let (engine, modules, nested) = match loaded(&modules, &bundle) {
            Ok(engine) => (engine, modules, nested),
            Err(_) => (loaded(&plain, &bundle)?, plain, Nested::default()),
        };
        let (tables, measure) = (Tables::default(), None);
        Ok(Self { bundle, modules, engine: Some(engine), nested, tables, measure, limit: TEST_LIMIT, explained: 0 })
    }

    /// With another limit for one test.
    #[must_use]
    pub fn within(self, limit: Duration) -> Self {
        Self { limit, ..self }
    }

    /// Without explanations, which cost an engine each.
    #[must_use]
    pub fn quietly(self) -> Self {
        Self { explained: MAX_EXPLAINED, ..self }
    }

    /// With a record of the lines that each test takes; before the first test.
    ///
    /// # Errors
    /// When regorus does not take the instrumented text.
    pub fn measured(mut self) -> Result<Self, EngineError> {
        let (measure, modules) = Measure::of(&self.modules);
        let mut engine = loaded(&modules, &self.bundle)?;
        engine.set_enable_coverage(true);
        self.modules = modules;
        self.engine = Some(engine);
        self.measure = Some(measure);
        Ok(self)
    }

    /// Runs one test.
    pub fn run(&mut self, item: &TestItem) -> Outcome {
        if item.todo {
            return Outcome::of(Verdict::Skipped);
        }
        match item.case {
            Some((table, case)) => self.run_case(table, case),
            None => self.run_rule(item),
        }
    }

    /// Adds the lines that were taken since the last time to `into`, and forgets them.
    pub fn covered(&mut self, into: &mut Coverage) {
        if let (Some(measure), Some(engine)) = (&self.measure, self.engine.as_mut()) {
            measure.add(engine, into);
            engine.clear_coverage_data();
        }
    }

    /// An account of all lines, none of them covered; empty where nothing is measured.
    pub fn uncovered(&self) -> Coverage {
        self.measure.as_ref().map(Measure::empty).unwrap_or_default()
    }

    /// The input of a case of a table; none where the table stands documents in place of the bundle's.
    ///
    /// # Errors
    /// What does not fit together in the case.
    pub fn input_of(&mut self, table: usize, case: usize) -> Result<Option<serde_json::Value>, String> {
        let bundle = Arc::clone(&self.bundle);
        let found = bundle.cases().get(table).and_then(|t| Some((t, t.cases.get(case)?)));
        let (table, case) = found.ok_or("there is no such case")?;
        let (input, data) = self.question(table, case)?;
        Ok(data.is_none().then_some(input))
    }

    /// Evaluates any query over the policy and the tests, as `opa eval` does.
    ///
    /// # Errors
    /// The engine's message.
    pub fn eval(&mut self, query: &str, input: &serde_json::Value) -> Result<serde_json::Value, String> {
        let input = super::value::convert(input);
        let written = statements(query);
        let answer = self.guarded(input, |engine| {
            let mut results = engine.eval_query(query.to_owned(), false)?;
            // What has no value is no result, as in OPA.
            results.result.retain(|one| one.expressions.iter().all(|e| e.value != Value::Undefined));
            if let Some(written) = &written {
                results.result.iter_mut().for_each(|one| named_as_written(&mut one.expressions, written));
            }
            Ok(serde_json::to_value(&results)?)
        });
        answer.map_err(|text| place_of(&self.modules, "query", &text).to_string())
    }

    fn run_rule(&mut self, item: &TestItem) -> Outcome {
        let package = item.package.trim_start_matches("data.").to_owned();
        let path = format!("{}.{}", item.package, item.name);
        let probe = self.nested.probe(&package, &item.name);
        let value = match self.rule(&path) {
            // Cases in several levels are no rule to `eval_rule`, but a document.
            Err(_) if probe.is_some() => self.document(&path),
            value => value,
        };
        match value {
            Err(text) => Outcome::of(Verdict::Error(place_of(&self.modules, &package, &text).to_string())),
            Ok(value) => match probe {
                Some(probe) => self.judge_cases(item, &package, &value, &probe),
                None => self.judge(item, &package, &value),
            },
        }
    }

    fn judge(&mut self, item: &TestItem, package: &str, value: &Value) -> Outcome {
        if *value == Value::Bool(true) {
            return Outcome::of(Verdict::Passed);
        }
        let mut outcome = Outcome::of(Verdict::Failed(shown(value)));
        if let Some(explanation) = self.explain(package, &item.name, &[]) {
            outcome.explanations.push(explanation);
        }
        outcome
    }

    fn judge_cases(&mut self, item: &TestItem, package: &str, value: &Value, probe: &str) -> Outcome {
        let listed = match self.rule(&format!("{}.{probe}", item.package)) {
            Ok(listed) => nested::paths(&listed),
            Err(text) => return Outcome::of(Verdict::Error(place_of(&self.modules, package, &text).to_string())),
        };
        let cases = nested::results(value, &listed);
        let failed = cases.values().any(|case| case.fail) || *value == Value::Undefined || cases.is_empty();
        let verdict = if failed { Verdict::Failed(shown(value)) } else { Verdict::Passed };
        let mut outcome = Outcome { verdict, cases, explanations: Vec::new() };
        for path in listed.iter().filter(|path| nested::failed_at(value, path)) {
            if let Some(explanation) = self.explain(package, &item.name, path) {
                outcome.explanations.push(explanation);
            }
        }
        outcome
    }

    fn explain(&mut self, package: &str, name: &str, case: &[Value]) -> Option<Explanation> {
        if self.explained >= MAX_EXPLAINED {
            return None;
        }
        self.explained += 1;
        explain::explain(&self.bundle, package, name, case, self.limit)
    }

    fn rule(&mut self, path: &str) -> Result<Value, String> {
        self.guarded(Value::new_object(), |engine| engine.eval_rule(path.to_owned()))
    }

    fn document(&mut self, path: &str) -> Result<Value, String> {
        self.guarded(Value::new_object(), |engine| {
            let results = engine.eval_query(path.to_owned(), false)?;
            let first = results.result.first().and_then(|one| one.expressions.first());
            Ok(first.map_or(Value::Undefined, |expression| expression.value.clone()))
        })
    }

    /// Runs one evaluation within the limit. A panic leaves the engine in an unknown state: it is loaded anew.
    fn guarded<T>(
        &mut self,
        input: Value,
        evaluate: impl FnOnce(&mut Engine) -> anyhow::Result<T>,
    ) -> Result<T, String> {
        let mut engine = match self.engine.take() {
            Some(engine) => engine,
            None => self.reload()?,
        };
        engine.set_execution_timer_config(timer(self.limit));
        engine.set_input(input);
        match catch_unwind(AssertUnwindSafe(|| evaluate(&mut engine))) {
            Ok(answer) => {
                self.engine = Some(engine);
                answer.map_err(|error| error.to_string())
            }
            Err(_) => Err("the engine panicked".to_owned()),
        }
    }

    fn reload(&self) -> Result<Engine, String> {
        let mut engine = loaded(&self.modules, &self.bundle).map_err(|error| error.to_string())?;
        engine.set_enable_coverage(self.measure.is_some());
        Ok(engine)
    }
}

fn loaded(modules: &[MergedModule], bundle: &Bundle) -> Result<Engine, EngineError> {
    let mut engine = load(modules, bundle)?;
    engine.set_execution_timer_config(timer(TEST_LIMIT));
    Ok(engine)
}

/// The statements of a query with their rows and columns.
fn statements(query: &str) -> Option<Vec<(String, u32, u32)>> {
    const HEAD: &str = "package query\n\nq if {\n";
    let parsed = parse_module("query", &format!("{HEAD}{query}\n}}\n")).ok()?;
    let Rule::Spec { bodies, .. } = parsed.policy.first()?.as_ref() else { return None };
    let written = |stmt: &LiteralStmt| {
        let at = written(&stmt.span);
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        (at.text.to_owned(), number(at.line.saturating_sub(3)), number(at.column))
    };
    Some(bodies.first()?.query.stmts.iter().map(written).collect())
}

/// regorus names an expression by a part of its text; OPA by all of it.
fn named_as_written(expressions: &mut [regorus::Expression], written: &[(String, u32, u32)]) {
    if expressions.len() != written.len() {
        return;
    }
    for (expression, (text, row, col)) in expressions.iter_mut().zip(written) {
        expression.text = text.as_str().into();
        expression.location = regorus::Location { row: *row, col: *col };
    }
}

fn value_of(value: &Value) -> Option<serde_json::Value> {
    serde_json::to_value(value).ok()
}

/// A value for people, on one line, cut.
fn shown(value: &Value) -> String {
    if *value == Value::Undefined {
        return "undefined".to_owned();
    }
    let text = serde_json::to_string(value).unwrap_or_else(|_| "a value that is not JSON".to_owned());
    if text.chars().count() <= MAX_SHOWN {
        return text;
    }
    text.chars().take(MAX_SHOWN).chain(std::iter::once('…')).collect()
}

#[cfg(test)]
mod tests;
