//! Why a test failed: the statement of its body that does not hold, and the values of its terms.
//!
//! The body is evaluated again in growing prefixes, each as a rule of its own beside the test: the first prefix that has
//! no answer ends with the statement that failed. Its terms are then evaluated behind the statements that held before
//! it, with the statement's own `with`. In an `every`, the first element for which the inside does not hold is taken
//! and the search goes on there.
//!
//! What it does not say: which of several definitions of one test was meant (the first is explained), what is wrong
//! inside a rule or function that the statement calls (its value is shown), and nothing at all where the prefixes do not
//! hold together by themselves, as where a statement uses a variable that only a later one binds.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use regorus::unstable::{AssignOp, Expr, Literal, LiteralStmt, Module, Ref, Rule, RuleHead};
use regorus::{Engine, Value};
use serde::{Deserialize, Serialize};

use super::written::written;
use super::{loaded, nested, shown, timer};
use crate::domain::policy::bundle::Bundle;
use crate::domain::policy::profile::{MergedModule, head, parse_module};

/// The most terms of one statement.
const MAX_TERMS: usize = 8;
/// The most values of one term, where a statement was tried with several.
const MAX_VALUES: usize = 3;
/// How deep `every` inside of `every` is followed.
const MAX_DEPTH: usize = 3;

/// The statement that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Explanation {
    /// The file, relative to the bundle.
    pub file: String,
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
    /// The case, for a test of cases.
    pub case: Vec<String>,
    /// The statement as written.
    pub text: String,
    /// Its terms.
    pub values: Vec<TermValue>,
}

/// A term and what it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TermValue {
    /// As written.
    pub term: String,
    /// As JSON, cut; `undefined` where it has none.
    pub value: String,
}

/// Explains the failure of `data.<package>.<name>`, of one case where `case` names one.
pub(super) fn explain(
    bundle: &Arc<Bundle>,
    package: &str,
    name: &str,
    case: &[Value],
    limit: Duration,
) -> Option<Explanation> {
    let module = bundle.modules().with_tests().iter().find(|module| module.package() == package)?;
    let parsed = parse_module(package, module.source()).ok()?;
    let (rule, stmts) = body(&parsed, name)?;
    let bound = if case.is_empty() { None } else { Some(case_condition(rule, stmts, case)?) };
    let probes = Probes { bundle, module, limit };
    let found = probes.locate(&[], stmts, bound.as_ref(), MAX_DEPTH)?;
    let at = written(&found.stmt.span);
    let (file, line) = module.origin(at.line)?;
    Some(Explanation {
        file: file.to_owned(),
        line,
        column: at.column,
        case: case.iter().map(nested::key_text).collect(),
        text: at.text.to_owned(),
        values: found.values,
    })
}

/// The first definition with a body of that name.
fn body<'m>(parsed: &'m Module, name: &str) -> Option<(&'m Rule, &'m [LiteralStmt])> {
    parsed.policy.iter().find_map(|rule| {
        let Rule::Spec { bodies, .. } = rule.as_ref() else { return None };
        let stmts = bodies.first()?.query.stmts.as_slice();
        let same = head(rule)?.path == name && !stmts.is_empty();
        same.then_some((rule.as_ref(), stmts))
    })
}

/// How many statements bind the keys of a case, and what holds for this case alone.
struct CaseCondition {
    after: usize,
    text: String,
}

fn case_condition(rule: &Rule, stmts: &[LiteralStmt], case: &[Value]) -> Option<CaseCondition> {
    let Rule::Spec { head: RuleHead::Compr { refr, .. }, .. } = rule else { return None };
    let keys = nested::keys(refr);
    let mut text = String::new();
    for (key, value) in keys.iter().zip(case) {
        writeln!(text, "{} == {}", written(key.span()).text, literal(value)?).ok()?;
    }
    Some(CaseCondition { after: nested::statements_that_bind(rule, stmts), text })
}

/// A value as Rego writes it; none for what JSON cannot hold.
fn literal(value: &Value) -> Option<String> {
    match value {
        Value::Undefined | Value::Set(_) => None,
        value => serde_json::to_string(value).ok(),
    }
}

struct Found<'m> {
    stmt: &'m LiteralStmt,
    values: Vec<TermValue>,
}

struct Probes<'a> {
    bundle: &'a Arc<Bundle>,
    module: &'a MergedModule,
    limit: Duration,
}

impl Probes<'_> {
    /// The first statement behind `before` that does not hold.
    fn locate<'m>(
        &self,
        before: &[String],
        stmts: &'m [LiteralStmt],
        case: Option<&CaseCondition>,
        depth: usize,
    ) -> Option<Found<'m>> {
        let prefix = |length: usize| {
            let mut lines = before.to_vec();
            for (i, stmt) in stmts.iter().take(length).enumerate() {
                lines.push(written(&stmt.span).text.to_owned());
                lines.extend(case.filter(|case| case.after == i + 1).map(|case| case.text.clone()));
            }
            lines
        };
        let first = case.map_or(1, |case| case.after.max(1));
        let rules: Vec<String> = (first..=stmts.len()).map(|length| prefix(length).join("\n")).collect();
        let mut engine =
            self.engine(rules.iter().enumerate().map(|(i, body)| format!("atb_probe_{i}_ if {{\n{body}\n}}")))?;
        let failed =
            (0..rules.len()).find(|i| self.ask(&mut engine, &format!("atb_probe_{i}_")) != Some(Value::Bool(true)))?;
        let index = first.checked_sub(1)?.checked_add(failed)?;
        let (stmt, held) = (stmts.get(index)?, prefix(index));
        if let Literal::Every { key, value, domain, query, .. } = &stmt.literal
            && stmt.with_mods.is_empty()
            && depth > 0
        {
            let names = [key.as_ref().map(|k| k.text()), Some(value.text())];
            let names: Vec<&str> = names.into_iter().flatten().filter(|name| *name != "_").collect();
            if let Some(found) = self.in_every(&held, &names, domain, &query.stmts, depth) {
                return Some(found);
            }
        }
        Some(Found { stmt, values: self.values(&held, stmt) })
    }

    /// The statement inside of an `every` that the first bad element does not satisfy.
    fn in_every<'m>(
        &self,
        held: &[String],
        names: &[&str],
        domain: &Ref<Expr>,
        inside: &'m [LiteralStmt],
        depth: usize,
    ) -> Option<Found<'m>> {
        let listed = format!("[{}]", names.join(", "));
        let some = format!("some {} in {}", names.join(", "), written(domain.span()).text);
        let lines = |stmts: &[LiteralStmt]| {
            let inner = stmts.iter().map(|stmt| written(&stmt.span).text.to_owned());
            held.iter().cloned().chain(std::iter::once(some.clone())).chain(inner).collect::<Vec<_>>().join("\n")
        };
        let rule = |name: &str, body: String| format!("{name} contains {listed} if {{\n{body}\n}}");
        let mut engine = self.engine([rule("atb_all_", lines(&[])), rule("atb_good_", lines(inside))].into_iter())?;
        let all = self.ask(&mut engine, "atb_all_")?;
        let good = self.ask(&mut engine, "atb_good_")?;
        let (all, good) = (all.as_set().ok()?, good.as_set().ok()?);
        let bad = all.iter().find(|element| !good.contains(element))?.as_array().ok()?.to_vec();
        let mut before = held.to_vec();
        before.push(some);
        let mut values = Vec::new();
        for (name, value) in names.iter().zip(&bad) {
            before.push(format!("{name} == {}", literal(value)?));
            values.push(TermValue { term: (*name).to_owned(), value: shown(value) });
        }
        let mut found = self.locate(&before, inside, None, depth - 1)?;
        values.retain(|value| found.values.iter().all(|known| known.term != value.term));
        found.values.extend(values);
        Some(found)
    }

    /// The values of a statement's terms behind the statements that held.
    fn values(&self, held: &[String], stmt: &LiteralStmt) -> Vec<TermValue> {
        let terms = terms_of(stmt);
        let with = with_of(stmt);
        let rule = |i: usize, term: &str| {
            let before = held.join("\n");
            format!("atb_value_{i}_ contains atb_term_ if {{\n{before}\natb_term_ := {term}{with}\n}}")
        };
        if let Some(mut engine) = self.engine(terms.iter().enumerate().map(|(i, term)| rule(i, term))) {
            return terms.into_iter().enumerate().map(|(i, term)| self.value(&mut engine, i, term)).collect();
        }
        // One of them cannot stand alone (a variable that the statement binds): each for itself then.
        let alone = terms.into_iter().filter_map(|term| {
            let mut engine = self.engine(std::iter::once(rule(0, &term)))?;
            Some(self.value(&mut engine, 0, term))
        });
        alone.collect()
    }

    fn value(&self, engine: &mut Engine, i: usize, term: String) -> TermValue {
        let answer = self.ask(engine, &format!("atb_value_{i}_"));
        let values: Vec<Value> =
            answer.and_then(|set| set.as_set().ok().map(|set| set.iter().cloned().collect())).unwrap_or_default();
        let value = match values.as_slice() {
            [] => "undefined".to_owned(),
            [one] => shown(one),
            many => {
                let first: Vec<String> = many.iter().take(MAX_VALUES).map(shown).collect();
                format!("one of {}: {}", many.len(), first.join(", "))
            }
        };
        TermValue { term, value }
    }

    /// An engine with these rules beside the package's own; none if regorus does not take them.
    fn engine(&self, rules: impl Iterator<Item = String>) -> Option<Engine> {
        let text: String = rules.map(|rule| format!("\n{rule}\n")).collect();
        let rewritten = self.module.rewritten(format!("{}{text}", self.module.source()));
        let modules = self.bundle.modules().with_tests().iter();
        let modules: Vec<MergedModule> =
            modules.map(|m| if m.package() == self.module.package() { rewritten.clone() } else { m.clone() }).collect();
        let mut engine = loaded(&modules, self.bundle).ok()?;
        engine.set_input(Value::new_object());
        // A variable that nothing binds is found when the rules are scheduled, not when they are parsed.
        let first = text.split_whitespace().next()?.to_owned();
        let path = format!("data.{}.{first}", self.module.package());
        let schedules = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| engine.eval_rule(path)));
        match schedules {
            Ok(Err(error)) if error.to_string().contains("unsafe") => None,
            Ok(_) => Some(engine),
            Err(_) => None,
        }
    }

    fn ask(&self, engine: &mut Engine, rule: &str) -> Option<Value> {
        engine.set_execution_timer_config(timer(self.limit));
        let path = format!("data.{}.{rule}", self.module.package());
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| engine.eval_rule(path))).ok()?.ok()
    }
}

/// The `with` part of a statement, as written.
fn with_of(stmt: &LiteralStmt) -> String {
    let at = written(&stmt.span);
    let start = stmt.with_mods.first().and_then(|with| written(&with.span).start.checked_sub(at.start));
    start.and_then(|start| at.text.get(start..)).map_or_else(String::new, |with| format!(" {with}"))
}

/// The terms of a statement that are worth a look, as written: its operands, arguments and references.
fn terms_of(stmt: &LiteralStmt) -> Vec<String> {
    let mut terms = Terms(Vec::new());
    match &stmt.literal {
        Literal::SomeVars { .. } => {}
        Literal::SomeIn { collection, .. } => terms.operand(collection),
        Literal::Every { domain, .. } => terms.operand(domain),
        Literal::Expr { expr, .. } | Literal::NotExpr { expr, .. } => terms.expr(expr),
    }
    terms.0.truncate(MAX_TERMS);
    terms.0
}

struct Terms(Vec<String>);

impl Terms {
    fn expr(&mut self, expr: &Ref<Expr>) {
        match expr.as_ref() {
            Expr::BoolExpr { lhs, rhs, .. } | Expr::ArithExpr { lhs, rhs, .. } | Expr::BinExpr { lhs, rhs, .. } => {
                self.operand(lhs);
                self.operand(rhs);
            }
            Expr::AssignExpr { op, lhs, rhs, .. } => {
                self.operand(rhs);
                if matches!(op, AssignOp::Eq) {
                    self.operand(lhs);
                }
            }
            Expr::Membership { key, value, collection, .. } => {
                key.iter().for_each(|key| self.operand(key));
                self.operand(value);
                self.operand(collection);
            }
            _ => self.operand(expr),
        }
    }

    /// The operand as a whole, and what it is made of.
    fn operand(&mut self, expr: &Ref<Expr>) {
        match expr.as_ref() {
            Expr::String { .. }
            | Expr::RawString { .. }
            | Expr::Number { .. }
            | Expr::Bool { .. }
            | Expr::Null { .. } => {}
            Expr::Array { items, .. } | Expr::Set { items, .. } => items.iter().for_each(|item| self.operand(item)),
            Expr::Object { fields, .. } => fields.iter().for_each(|(_, _, value)| self.operand(value)),
            Expr::Call { params, .. } => {
                self.add(expr);
                params.iter().for_each(|param| self.operand(param));
            }
            Expr::BoolExpr { .. } | Expr::Membership { .. } => self.expr(expr),
            Expr::ArithExpr { .. } | Expr::BinExpr { .. } => {
                self.add(expr);
                self.expr(expr);
            }
            Expr::UnaryExpr { expr, .. } => self.operand(expr),
            _ => self.add(expr),
        }
    }

    fn add(&mut self, expr: &Ref<Expr>) {
        let text = written(expr.span()).text.split_whitespace().collect::<Vec<_>>().join(" ");
        if text != "_" && !self.0.contains(&text) {
            self.0.push(text);
        }
    }
}
