//! The cases of tables: base input, changes, question, and what must come out of it.

use std::collections::BTreeMap;

use regorus::Value as RegoValue;
use serde_json::{Map, Value};

use super::{MAX_SHOWN, Outcome, Suite, TermValue, Verdict, explain::Explanation, value_of};
use crate::domain::policy::bundle::cases::{Case, CaseTable, Expectation, Fixture};

/// The most differences that one case shows.
const MAX_DIFFERENCES: usize = 8;

/// What rules gave that tables start from: many cases share one.
#[derive(Debug, Default)]
pub(super) struct Tables {
    fixtures: BTreeMap<String, Value>,
}

impl Suite {
    /// Runs one case of one table.
    pub(super) fn run_case(&mut self, table: usize, case: usize) -> Outcome {
        let bundle = std::sync::Arc::clone(&self.bundle);
        let Some((table, case)) = bundle.cases().get(table).and_then(|t| Some((t, t.cases.get(case)?))) else {
            return Outcome::of(Verdict::Error("there is no such case".to_owned()));
        };
        let answer = self.question(table, case).and_then(|(input, data)| self.answer(&table.query, input, data));
        match answer {
            Err(what) => Outcome::of(Verdict::Error(format!("{}:{}: {what}", table.file, case.line))),
            Ok(answer) => judge(table, case, answer.as_ref()),
        }
    }

    /// The input of a case, and the documents that stand in for the bundle's.
    ///
    /// # Errors
    /// What does not fit: a fixture that is undefined, a pointer that leads nowhere.
    pub(super) fn question(&mut self, table: &CaseTable, case: &Case) -> Result<(Value, Option<Value>), String> {
        let mut input = self.fixture(case.base.as_ref().unwrap_or(&table.base))?;
        for (pointer, value) in &case.set {
            if !pointer.set(&mut input, value.clone()) {
                return Err(format!("`{pointer}` leads through something that is no object or array"));
            }
        }
        for pointer in &case.remove {
            if !pointer.remove(&mut input) {
                return Err(format!("there is nothing at `{pointer}` to remove"));
            }
        }
        let data = table.data.as_ref().map(|data| self.fixture(data)).transpose()?;
        Ok((input, data))
    }

    fn fixture(&mut self, fixture: &Fixture) -> Result<Value, String> {
        let path = match fixture {
            Fixture::Inline(value) => return Ok(value.clone()),
            Fixture::Rule(path) => path,
        };
        if let Some(known) = self.tables.fixtures.get(path) {
            return Ok(known.clone());
        }
        let value = self.rule(path)?;
        let value = value_of(&value).filter(Value::is_object).ok_or_else(|| format!("`{path}` is not an object"))?;
        self.tables.fixtures.insert(path.clone(), value.clone());
        Ok(value)
    }

    /// The rule's value over that input; none if it has none.
    fn answer(&mut self, rule: &str, input: Value, data: Option<Value>) -> Result<Option<Value>, String> {
        let Some(data) = data else {
            let input = super::super::value::convert(&input);
            let value = self.guarded(input, |engine| engine.eval_rule(rule.to_owned()))?;
            return defined(&value);
        };
        let query = replacing(rule, &data)?;
        let both = Value::Object(Map::from_iter([("input".to_owned(), input), ("data".to_owned(), data)]));
        let results = self.guarded(super::super::value::convert(&both), |engine| engine.eval_query(query, false))?;
        let first = results.result.first().and_then(|result| result.expressions.first());
        first.map_or(Ok(None), |expression| defined(&expression.value))
    }
}

/// A case made ready to be run over other engines: what is asked, over what, and what must come out.
pub struct PreparedCase {
    bundle: std::sync::Arc<crate::domain::policy::Bundle>,
    table: usize,
    case: usize,
    query: String,
    input: RegoValue,
    /// The question stands documents in place of the bundle's: a query, not the path of a rule.
    replaces: bool,
}

impl Suite {
    /// Makes a case ready.
    ///
    /// # Errors
    /// What does not fit together in it.
    pub(in crate::domain::policy::engine) fn prepared(
        &mut self,
        table: usize,
        case: usize,
    ) -> Result<PreparedCase, String> {
        let bundle = std::sync::Arc::clone(&self.bundle);
        let found = bundle.cases().get(table).and_then(|t| Some((t, t.cases.get(case)?)));
        let (its_table, its_case) = found.ok_or("there is no such case")?;
        let (input, data) = self.question(its_table, its_case)?;
        let replaces = data.is_some();
        let (query, input) = match data {
            None => (its_table.query.clone(), input),
            Some(data) => {
                let query = replacing(&its_table.query, &data)?;
                (query, Value::Object(Map::from_iter([("input".to_owned(), input), ("data".to_owned(), data)])))
            }
        };
        let input = super::super::value::convert(&input);
        Ok(PreparedCase { bundle: std::sync::Arc::clone(&bundle), table, case, query, input, replaces })
    }
}

impl PreparedCase {
    /// Whether the engine gives what the case expects.
    pub(in crate::domain::policy::engine) fn holds(&self, engine: &mut regorus::Engine) -> anyhow::Result<bool> {
        engine.set_input(self.input.clone());
        let value = if self.replaces {
            let results = engine.eval_query(self.query.clone(), false)?;
            let first = results.result.first().and_then(|result| result.expressions.first());
            first.map_or(RegoValue::Undefined, |expression| expression.value.clone())
        } else {
            engine.eval_rule(self.query.clone())?
        };
        let found = self.bundle.cases().get(self.table).and_then(|t| Some((t, t.cases.get(self.case)?)));
        let Some((table, case)) = found else { return Ok(false) };
        let Ok(answer) = defined(&value) else { return Ok(false) };
        Ok(judge(table, case, answer.as_ref()).verdict == Verdict::Passed)
    }
}

fn defined(value: &RegoValue) -> Result<Option<Value>, String> {
    match value {
        RegoValue::Undefined => Ok(None),
        value => value_of(value).map(Some).ok_or_else(|| "the answer is not JSON".to_owned()),
    }
}

/// The question with each document in its place, as a test does it with `with`.
fn replacing(rule: &str, data: &Value) -> Result<String, String> {
    let names = data.as_object().map(|members| members.keys().map(String::as_str).collect::<Vec<_>>());
    let is_name = |name: &&str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    let names = names.unwrap_or_default();
    if let Some(odd) = names.iter().find(|name| !is_name(name)) {
        return Err(format!("`{odd}` in `data` is not the name of a document"));
    }
    let with = names.iter().map(|name| format!(" with data.{name} as input.data.{name}"));
    Ok(std::iter::once(format!("{rule} with input as input.input")).chain(with).collect())
}

fn judge(table: &CaseTable, case: &Case, answer: Option<&Value>) -> Outcome {
    let mut differences = Vec::new();
    match (&case.expect, answer) {
        (Expectation::Undefined, None) => {}
        (Expectation::Undefined, Some(value)) => differences.push(difference("", "undefined", &cut(value))),
        (Expectation::Part(part), None) => differences.push(difference("", &cut(part), "undefined")),
        (Expectation::Part(part), Some(value)) => compare(part, value, "", &mut differences),
    }
    if differences.is_empty() {
        return Outcome::of(Verdict::Passed);
    }
    differences.truncate(MAX_DIFFERENCES);
    let mut outcome = Outcome::of(Verdict::Failed(answer.map_or_else(|| "undefined".to_owned(), cut)));
    outcome.explanations.push(Explanation {
        file: table.file.clone(),
        line: case.line,
        column: case.column,
        case: Vec::new(),
        text: format!("{} is not what `{}` expects", table.query, case.name),
        values: differences,
    });
    outcome
}

/// Every place where `value` does not have what `part` names.
fn compare(part: &Value, value: &Value, at: &str, differences: &mut Vec<TermValue>) {
    match (part, value) {
        (Value::Object(wanted), Value::Object(found)) => {
            for (name, wanted) in wanted {
                let at = format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"));
                match found.get(name) {
                    Some(found) => compare(wanted, found, &at, differences),
                    None => differences.push(difference(&at, &cut(wanted), "nothing")),
                }
            }
        }
        (Value::Array(wanted), Value::Array(found)) if wanted.len() == found.len() => {
            for (i, (wanted, found)) in wanted.iter().zip(found).enumerate() {
                compare(wanted, found, &format!("{at}/{i}"), differences);
            }
        }
        (Value::Number(a), Value::Number(b)) if a == b || a.as_f64() == b.as_f64() => {}
        (wanted, found) if wanted == found => {}
        (wanted, found) => differences.push(difference(at, &cut(wanted), &cut(found))),
    }
}

fn difference(at: &str, wanted: &str, found: &str) -> TermValue {
    let term = if at.is_empty() { "the answer".to_owned() } else { at.to_owned() };
    TermValue { term, value: format!("{found}, expected {wanted}") }
}

fn cut(value: &Value) -> String {
    value.to_string().chars().take(MAX_SHOWN).collect()
}
