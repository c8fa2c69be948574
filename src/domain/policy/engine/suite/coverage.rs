//! Coverage as OPA counts it: a rule's head is covered when the rule gives a value, a statement when it is evaluated;
//! rows are those that covered or uncovered ranges touch.
//!
//! regorus notes the lines on which it evaluates something. So each package is written anew for measuring, with every
//! head and every statement on a line of its own (and `:= true` spelt out where a head leaves it out), and the lines
//! are brought back to ranges in the original files. The meaning stays: only line breaks and implied values are added.
//!
//! Where it differs from OPA: OPA skips definitions that its rule index excludes, regorus looks at their first
//! statement; OPA stops early where more answers change nothing; an `else` without a body is not counted.

use std::collections::{BTreeMap, BTreeSet};

use regorus::Engine;
use regorus::unstable::{Expr, Literal, Module, Query, Ref, Rule, RuleHead, Span};
use serde::{Deserialize, Serialize};

use crate::domain::policy::profile::{MergedModule, parse_module};

/// A range of a file, both ends included, columns from 1.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileRange {
    /// The file.
    pub file: String,
    /// First row and column.
    pub start: (usize, usize),
    /// Last row and column.
    pub end: (usize, usize),
}

/// Which ranges were taken.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Coverage {
    /// Those that were.
    pub covered: BTreeSet<FileRange>,
    /// Those that count and were not.
    pub missed: BTreeSet<FileRange>,
}

impl Coverage {
    /// Both together: what one of them covered is covered.
    pub fn merge(&mut self, other: Self) {
        self.covered.extend(other.covered);
        self.missed.extend(other.missed);
        let Self { covered, missed } = self;
        missed.retain(|range| !covered.contains(range));
    }
}

/// Where to look for what: package → (range, line of the measured text, whether it counts when it is missed).
#[derive(Debug)]
pub(super) struct Measure(BTreeMap<String, Vec<Mark>>);

#[derive(Debug)]
struct Mark {
    range: FileRange,
    line: u32,
    counts: bool,
}

impl Measure {
    /// The packages written for measuring, and how to read them.
    pub(super) fn of(modules: &[MergedModule]) -> (Self, Vec<MergedModule>) {
        let mut marks = BTreeMap::new();
        let rewritten = modules.iter().map(|module| match measured(module) {
            Some((text, found)) => {
                marks.insert(module.package().to_owned(), found);
                module.rewritten(text)
            }
            None => module.clone(),
        });
        let rewritten = rewritten.collect();
        (Self(marks), rewritten)
    }

    pub(super) fn empty(&self) -> Coverage {
        let counted = self.0.values().flatten().filter(|mark| mark.counts);
        Coverage { covered: BTreeSet::new(), missed: counted.map(|mark| mark.range.clone()).collect() }
    }

    pub(super) fn add(&self, engine: &Engine, into: &mut Coverage) {
        let Ok(report) = engine.get_coverage_report() else { return };
        for file in report.files {
            for mark in self.0.get(&file.path).into_iter().flatten() {
                if file.covered.contains(&mark.line) {
                    into.missed.remove(&mark.range);
                    into.covered.insert(mark.range.clone());
                }
            }
        }
    }
}

/// A head or a statement, with what shows that it was reached.
struct Item<'m> {
    span: Span,
    shows: Option<&'m Span>,
    counts: bool,
}

/// The text for measuring, and its marks; none where the package cannot be rewritten.
fn measured(module: &MergedModule) -> Option<(String, Vec<Mark>)> {
    let parsed = parse_module(module.package(), module.source()).ok()?;
    let text = rewrite(module.source(), &parsed)?;
    let again = parse_module(module.package(), &text).ok()?;
    let (items, shown) = (items_of(&parsed), items_of(&again));
    if items.len() != shown.len() {
        return None;
    }
    let marks = items.iter().zip(&shown).filter_map(|(item, shown)| {
        let line = shown.shows?.line;
        Some(Mark { range: range(module, &item.span)?, line, counts: item.counts })
    });
    let marks = marks.collect();
    Some((text, marks))
}

fn range(module: &MergedModule, span: &Span) -> Option<FileRange> {
    let (file, row) = module.origin(usize::try_from(span.line).ok()?)?;
    let column = usize::try_from(span.col).ok()?;
    let text = span.text();
    let rows = text.matches('\n').count();
    let last = text.rsplit('\n').next().unwrap_or_default().chars().count();
    let end = if rows == 0 { column + last } else { last + 1 };
    Some(FileRange { file: file.to_owned(), start: (row, column), end: (row + rows, end) })
}

/// Every head and statement of a package, in one order that the rewriting does not change.
fn items_of(module: &Module) -> Vec<Item<'_>> {
    let mut items = Vec::new();
    for rule in module.policy.iter().filter(|rule| !is_generated(rule)) {
        match rule.as_ref() {
            Rule::Default { span, value, .. } => {
                items.push(Item { span: span.clone(), shows: Some(value.span()), counts: true });
            }
            Rule::Spec { head, bodies, .. } => {
                let (span, value) = head_of(head);
                items.push(Item { span: span.clone(), shows: value.map(|v| v.span()), counts: true });
                value.into_iter().for_each(|value| in_expr(value, &mut items));
                for body in bodies {
                    in_query(&body.query, &mut items);
                    body.assign.iter().for_each(|assign| in_expr(&assign.value, &mut items));
                }
            }
        }
    }
    items
}

/// The rules that list the cases of tests are ours.
fn is_generated(rule: &Rule) -> bool {
    rule.span().text().starts_with("atb_cases_of_")
}

fn head_of(head: &RuleHead) -> (&Span, Option<&Ref<Expr>>) {
    match head {
        RuleHead::Compr { span, assign, .. } | RuleHead::Func { span, assign, .. } => {
            (span, assign.as_ref().map(|assign| &assign.value))
        }
        RuleHead::Set { span, key, .. } => (span, key.as_ref()),
    }
}

fn in_query<'m>(query: &'m Ref<Query>, items: &mut Vec<Item<'m>>) {
    for stmt in &query.stmts {
        let (shows, counts) = match &stmt.literal {
            Literal::SomeVars { .. } => (None, false),
            Literal::SomeIn { collection, .. } => (Some(collection.span()), false),
            Literal::Expr { expr, .. } | Literal::NotExpr { expr, .. } => (Some(expr.span()), true),
            Literal::Every { domain, .. } => (Some(domain.span()), true),
        };
        items.push(Item { span: stmt.span.clone(), shows, counts });
        match &stmt.literal {
            Literal::SomeVars { .. } => {}
            Literal::SomeIn { collection, .. } => in_expr(collection, items),
            Literal::Expr { expr, .. } | Literal::NotExpr { expr, .. } => in_expr(expr, items),
            Literal::Every { domain, query, .. } => {
                in_expr(domain, items);
                in_query(query, items);
            }
        }
    }
}

/// The statements inside of comprehensions.
fn in_expr<'m>(expr: &'m Ref<Expr>, items: &mut Vec<Item<'m>>) {
    let mut pending = vec![expr];
    while let Some(expr) = pending.pop() {
        match expr.as_ref() {
            Expr::ArrayCompr { term, query, .. } | Expr::SetCompr { term, query, .. } => {
                pending.push(term);
                in_query(query, items);
            }
            Expr::ObjectCompr { key, value, query, .. } => {
                pending.extend([key, value]);
                in_query(query, items);
            }
            Expr::Array { items: inner, .. } | Expr::Set { items: inner, .. } => pending.extend(inner),
            Expr::Object { fields, .. } => pending.extend(fields.iter().flat_map(|(_, key, value)| [key, value])),
            Expr::Call { params, .. } => pending.extend(params),
            Expr::UnaryExpr { expr, .. } => pending.push(expr),
            Expr::RefDot { refr, .. } => pending.push(refr),
            Expr::RefBrack { refr, index, .. } => pending.extend([refr, index]),
            Expr::BinExpr { lhs, rhs, .. }
            | Expr::BoolExpr { lhs, rhs, .. }
            | Expr::ArithExpr { lhs, rhs, .. }
            | Expr::AssignExpr { lhs, rhs, .. } => pending.extend([lhs, rhs]),
            Expr::Membership { key, value, collection, .. } => {
                pending.extend(key);
                pending.extend([value, collection]);
            }
            _ => {}
        }
    }
}

/// Every statement on a line of its own, every head with its value.
fn rewrite(source: &str, parsed: &Module) -> Option<String> {
    let mut breaks: BTreeMap<usize, &str> = BTreeMap::new();
    for rule in &parsed.policy {
        let Rule::Spec { head, bodies, .. } = rule.as_ref() else { continue };
        if let (span, None) = head_of(head)
            && matches!(head, RuleHead::Compr { .. } | RuleHead::Func { .. })
            && !bodies.is_empty()
        {
            breaks.insert(usize::try_from(span.end).ok()?, " := true");
        }
    }
    for item in items_of(parsed) {
        let start = usize::try_from(item.span.start).ok()?;
        let before = source.get(..start)?;
        let first = before.rsplit('\n').next().unwrap_or_default().trim().is_empty();
        if !first {
            breaks.insert(start, "\n");
        }
    }
    let mut text = String::with_capacity(source.len() + breaks.len() * 2);
    let mut from = 0;
    for (at, insert) in breaks {
        text.push_str(source.get(from..at)?);
        text.push_str(insert);
        from = at;
    }
    text.push_str(source.get(from..)?);
    Some(text)
}
