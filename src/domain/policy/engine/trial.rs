//! The bundle's own tests over a changed bundle: one engine a change, made from parsed parts where that is possible.
//!
//! For tools that ask "would a test notice?": [`Trials`] holds what the changes share, [`Trial`] is one of them. Both
//! stay in the thread that made them, which needs the stack of an evaluating thread (16 MiB).

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use regorus::{Engine, Value};
use serde_json::Map;

use super::suite::{PreparedCase, Suite, TestItem, discover};
use super::{EngineError, explain, is_time_limit, load, timer, value};
use crate::domain::policy::bundle::Bundle;
use crate::domain::policy::profile::MergedModule;

/// A line of a file of the bundle.
pub type Line = (String, usize);

/// A bundle whose tests are run again and again, each time with something changed.
pub struct Trials {
    bundle: Arc<Bundle>,
    whole: Engine,
    /// Without the package of that name.
    without: BTreeMap<String, Engine>,
}

/// One bundle, ready to run tests.
pub struct Trial {
    engine: Engine,
    modules: Vec<MergedModule>,
}

/// A test of the bundle, ready to be run: a rule, or a case of a table.
pub struct TrialTest {
    item: TestItem,
    case: Option<PreparedCase>,
}

/// Every test of the bundle that is to be run. Call it in a thread with the stack of an evaluating one.
///
/// # Errors
/// When regorus does not load the bundle, or a case does not fit together.
pub fn trial_tests(bundle: &Arc<Bundle>) -> Result<Vec<TrialTest>, EngineError> {
    let mut suite = Suite::new(Arc::clone(bundle))?;
    let ready = |item: TestItem| {
        let case = item.case.map(|(table, case)| suite.prepared(table, case)).transpose();
        let case = case.map_err(|what| EngineError { place: format!("{}:{}", item.file, item.line), what })?;
        Ok(TrialTest { item, case })
    };
    discover(bundle).into_iter().filter(|item| !item.todo).map(ready).collect()
}

impl TrialTest {
    /// Package and rule, or table and case.
    pub fn name(&self) -> String {
        self.item.full_name().trim_start_matches("data.").to_owned()
    }

    /// The file that it stands in.
    pub fn file(&self) -> &str {
        &self.item.file
    }
}

/// What came of one test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrialOutcome {
    /// It is true.
    Passed,
    /// It is something else, undefined or an error.
    Failed,
    /// It took longer than it may.
    TimedOut,
    /// The engine panicked; the trial is of no more use.
    Panicked,
}

impl Trials {
    /// Loads the bundle with its tests.
    ///
    /// # Errors
    /// When regorus does not load it.
    pub fn new(bundle: Arc<Bundle>) -> Result<Self, EngineError> {
        let whole = load(bundle.modules().with_tests(), &bundle)?;
        Ok(Self { bundle, whole, without: BTreeMap::new() })
    }

    /// The bundle as it is.
    pub fn unchanged(&self) -> Trial {
        Trial { engine: self.whole.clone(), modules: self.bundle.modules().with_tests().to_vec() }
    }

    /// The bundle with other Rego: every package, tests included.
    ///
    /// # Errors
    /// When regorus does not load it.
    pub fn with_modules(&mut self, modules: &[MergedModule]) -> Result<Trial, EngineError> {
        let is_new = |module: &&MergedModule| !self.bundle.modules().with_tests().contains(module);
        let new: Vec<&MergedModule> = modules.iter().filter(is_new).collect();
        let engine = match new.as_slice() {
            [] => self.whole.clone(),
            [one] if modules.len() == self.bundle.modules().with_tests().len() => {
                let mut engine = self.without(one.package())?.clone();
                let report = engine.add_policy(one.package().to_owned(), one.source().to_owned());
                report.map_err(|error| explain(modules, one.package(), &error.to_string()))?;
                engine
            }
            _ => load(modules, &self.bundle)?,
        };
        Ok(Trial { engine, modules: modules.to_vec() })
    }

    /// The bundle with another data document.
    ///
    /// # Errors
    /// When regorus does not take it.
    pub fn with_data(&self, data: &Map<String, serde_json::Value>) -> Result<Trial, EngineError> {
        let modules = self.bundle.modules().with_tests();
        let mut engine = self.whole.clone();
        engine.clear_data();
        let data = value::convert(&serde_json::Value::Object(data.clone()));
        engine.add_data(data).map_err(|error| explain(modules, "data", &error.to_string()))?;
        Ok(Trial { engine, modules: modules.to_vec() })
    }

    fn without(&mut self, package: &str) -> Result<&Engine, EngineError> {
        match self.without.entry(package.to_owned()) {
            std::collections::btree_map::Entry::Occupied(found) => Ok(found.into_mut()),
            std::collections::btree_map::Entry::Vacant(place) => {
                let all = self.bundle.modules().with_tests();
                let rest: Vec<MergedModule> = all.iter().filter(|m| m.package() != package).cloned().collect();
                Ok(place.insert(load(&rest, &self.bundle)?))
            }
        }
    }
}

impl Trial {
    /// Runs one test.
    pub fn run(&mut self, test: &TrialTest, limit: Duration) -> TrialOutcome {
        self.engine.set_execution_timer_config(timer(limit));
        let engine = &mut self.engine;
        let passed = catch_unwind(AssertUnwindSafe(|| match &test.case {
            Some(case) => case.holds(engine),
            None => {
                engine.set_input(Value::new_object());
                let path = format!("{}.{}", test.item.package, test.item.name);
                engine.eval_rule(path).map(|value| value == Value::Bool(true))
            }
        }));
        match passed {
            Ok(Ok(true)) => TrialOutcome::Passed,
            Ok(Err(error)) if is_time_limit(&error) => TrialOutcome::TimedOut,
            Ok(_) => TrialOutcome::Failed,
            Err(_) => TrialOutcome::Panicked,
        }
    }

    /// Runs one test and says which lines it went through.
    pub fn trace(&mut self, test: &TrialTest, limit: Duration) -> (TrialOutcome, BTreeSet<Line>) {
        self.engine.set_enable_coverage(true);
        self.engine.clear_coverage_data();
        let outcome = self.run(test, limit);
        let lines = self.engine.get_coverage_report().map(|report| self.lines(&report)).unwrap_or_default();
        self.engine.set_enable_coverage(false);
        (outcome, lines)
    }

    fn lines(&self, report: &regorus::coverage::Report) -> BTreeSet<Line> {
        let of_file = |file: &regorus::coverage::File| -> Vec<Line> {
            let Some(module) = self.modules.iter().find(|m| m.package() == file.path) else { return Vec::new() };
            let line = |line: &u32| {
                let (file, line) = module.origin(usize::try_from(*line).ok()?)?;
                Some((file.to_owned(), line))
            };
            file.covered.iter().filter_map(line).collect()
        };
        report.files.iter().flat_map(of_file).collect()
    }
}
