//! Coverage as OPA counts it: a rule's head is covered when the rule gives a value, a statement when it is evaluated;
//! rows are those that covered or uncovered ranges touch.
//!
//! regorus notes the lines on which it evaluates something. So each package is written anew for measuring, with every
//! head and every statement on a line of its own (and `:= true` spelt out where a head leaves it out), and the lines
//! are brought back to ranges in the original files. The meaning stays: only line breaks and implied values are added.
//!
//! Where it differs from OPA: OPA skips definitions that its rule index excludes, regorus looks at their first
//! statement; OPA stops early where more answers change nothing; statements inside of the value of an `else` are not counted.

use std::collections::{BTreeMap, BTreeSet};

use regorus::Engine;
use regorus::unstable::{Expr, Literal, LiteralStmt, Module, Ref, Rule, RuleBody, RuleHead, Span};
use serde::{Deserialize, Serialize};

use super::written::written;
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
            Ok((text, found)) => {
                marks.insert(module.package().to_owned(), found);
                module.rewritten(text)
            }
            // Not seen with any policy: its lines are then in no number at all, rather than in the wrong one.
            Err(_) => module.clone(),
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

/// The text for measuring, and its marks; or why the package cannot be rewritten.
fn measured(module: &MergedModule) -> Result<(String, Vec<Mark>), String> {
    let parsed = parse_module(module.package(), module.source())?;
    let text = rewrite(module.source(), &parsed).ok_or("a place outside of the text")?;
    let again = parse_module(module.package(), &text)?;
    let (items, shown) = (items_of(&parsed, false), items_of(&again, true));
    if items.len() != shown.len() {
        return Err(format!("{} places have become {}", items.len(), shown.len()));
    }
    let marks = items.iter().zip(&shown).filter_map(|(item, shown)| {
        let line = shown.shows?.line;
        Some(Mark { range: range(module, &item.span)?, line, counts: item.counts })
    });
    let marks = marks.collect();
    Ok((text, marks))
}

fn range(module: &MergedModule, span: &Span) -> Option<FileRange> {
    let at = written(span);
    let (file, row) = module.origin(at.line)?;
    let rows = at.text.matches('\n').count();
    let last = at.text.rsplit('\n').next().unwrap_or_default().chars().count();
    let end = if rows == 0 { at.column + last } else { last + 1 };
    Some(FileRange { file: file.to_owned(), start: (row, at.column), end: (row + rows, end) })
}

/// Every head and statement of a package, in one order that the rewriting does not change. A rewritten `else` ends with a
/// statement of ours.
fn items_of(module: &Module, rewritten: bool) -> Vec<Item<'_>> {
    let mut items = Vec::new();
    for rule in module.policy.iter().filter(|rule| !is_generated(rule)) {
        match rule.as_ref() {
            Rule::Default { span, value, .. } => {
                items.push(Item { span: span.clone(), shows: reached(value), counts: true });
            }
            Rule::Spec { head, bodies, .. } => {
                let (span, value) = head_of(head);
                items.push(Item { span: span.clone(), shows: value.and_then(reached), counts: true });
                value.into_iter().for_each(|value| in_expr(value, &mut items));
                bodies.iter().for_each(|body| in_body(body, rewritten, &mut items));
            }
        }
    }
    items
}

fn in_body<'m>(body: &'m RuleBody, rewritten: bool, items: &mut Vec<Item<'m>>) {
    let stmts = body.query.stmts.as_slice();
    if !body.is_else {
        return in_stmts(stmts, items);
    }
    let (marker, own) = match stmts.split_last() {
        Some((marker, own)) if rewritten => (Some(&marker.span), own),
        _ => (None, stmts),
    };
    let end = body.assign.as_ref().map_or(body.span.start.saturating_add(4), |assign| assign.value.span().end);
    items.push(Item { span: Span { end, ..body.span.clone() }, shows: marker, counts: true });
    in_stmts(own, items);
}

/// What of an expression regorus notes: of a comprehension only its inside.
fn reached(expr: &Ref<Expr>) -> Option<&Span> {
    match expr.as_ref() {
        Expr::ArrayCompr { query, .. } | Expr::SetCompr { query, .. } | Expr::ObjectCompr { query, .. } => {
            match &query.stmts.first()?.literal {
                Literal::SomeVars { span, .. } => Some(span),
                Literal::SomeIn { collection: expr, .. }
                | Literal::Expr { expr, .. }
                | Literal::NotExpr { expr, .. }
                | Literal::Every { domain: expr, .. } => Some(expr.span()),
            }
        }
        _ => Some(expr.span()),
    }
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

fn in_stmts<'m>(stmts: &'m [LiteralStmt], items: &mut Vec<Item<'m>>) {
    for stmt in stmts {
        let (shows, counts) = match &stmt.literal {
            Literal::SomeVars { .. } => (None, false),
            Literal::SomeIn { collection, .. } => (reached(collection), false),
            Literal::Expr { expr, .. } | Literal::NotExpr { expr, .. } => (reached(expr), true),
            Literal::Every { domain, .. } => (reached(domain), true),
        };
        items.push(Item { span: stmt.span.clone(), shows, counts });
        match &stmt.literal {
            Literal::SomeVars { .. } => {}
            Literal::SomeIn { collection, .. } => in_expr(collection, items),
            Literal::Expr { expr, .. } | Literal::NotExpr { expr, .. } => in_expr(expr, items),
            Literal::Every { domain, query, .. } => {
                in_expr(domain, items);
                in_stmts(&query.stmts, items);
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
                in_stmts(&query.stmts, items);
            }
            Expr::ObjectCompr { key, value, query, .. } => {
                pending.extend([key, value]);
                in_stmts(&query.stmts, items);
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

/// Every statement on a line of its own, every head with its value, every `else` with a last statement.
fn rewrite(source: &str, parsed: &Module) -> Option<String> {
    let mut inserts: Vec<(usize, &str)> = Vec::new();
    for rule in &parsed.policy {
        let Rule::Spec { head, bodies, .. } = rule.as_ref() else { continue };
        if let (span, None) = head_of(head)
            && matches!(head, RuleHead::Compr { .. } | RuleHead::Func { .. })
            && !bodies.is_empty()
        {
            inserts.push((written(span).end, " := true"));
        }
        for body in bodies.iter().filter(|body| body.is_else) {
            let end = written(&body.span).end;
            // Behind a head with a value, regorus gives the `else` of a function none (see `profile::chains`).
            if matches!(head, RuleHead::Func { .. }) && body.assign.is_none() {
                inserts.push((written(&body.span).start + "else".len(), " := true"));
            }
            match (body.query.stmts.first(), body.query.stmts.last()) {
                (Some(first), Some(last)) if last.span.end == body.span.end => {
                    inserts.push((written(&first.span).start, "{"));
                    inserts.push((end, "\ntrue\n}"));
                }
                (_, Some(last)) => inserts.push((written(&last.span).end, "\ntrue")),
                _ => inserts.push((end, " if {\ntrue\n}")),
            }
        }
    }
    for item in items_of(parsed, false) {
        let start = written(&item.span).start;
        let before = source.get(..start)?;
        let first = before.rsplit('\n').next().unwrap_or_default().trim().is_empty();
        // An `else` stays behind its brace.
        if !first && !source.get(start..)?.starts_with("else") {
            inserts.push((start, "\n"));
        }
    }
    // Stable, so that a brace comes before the line break of the statement that it opens.
    inserts.sort_by_key(|(at, _)| *at);
    let mut text = String::with_capacity(source.len() + inserts.len() * 4);
    let mut from = 0;
    for (at, insert) in inserts {
        text.push_str(source.get(from..at)?);
        text.push_str(insert);
        from = at;
    }
    text.push_str(source.get(from..)?);
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::policy::Bundle;
    use crate::domain::policy::bundle::samples::with;

    const EVERY_FORM: &str = "package forms

default d := false

d if { input.a; input.b }

one if input.x > 1

two := [x | some x in input.xs; x > 1] if not one

else := 3 if input.y

else := [1]

f(x) if x == 1

s contains {\"a\": y} if {
\tsome y in input.ys
\tevery z in input.zs { z > y }
} # comment

o[k] := v if some k, v in input.o

e := 1 if {
\tinput.p
} else := 2 if {
\tinput.q # why
} else if {
\tinput.r
}

g(x) if x == 1

else if x == 2
";

    #[test]
    fn every_form_is_rewritten_with_each_place_on_a_line_of_its_own() {
        let bundle = Bundle::parse(&with(&[("policy/forms.rego", EVERY_FORM)])).unwrap();
        let module = bundle.modules().policy().iter().find(|m| m.package() == "forms").unwrap();
        let (text, marks) = measured(module).unwrap_or_else(|what| panic!("{what}"));
        let lines: BTreeSet<u32> = marks.iter().map(|mark| mark.line).collect();
        // A comprehension as a value is seen by its inside alone.
        assert_eq!(lines.len() + 1, marks.len(), "{text}\n{marks:#?}");
        let ranges: Vec<_> = marks.iter().map(|mark| (mark.range.start, mark.range.end)).collect();
        for known in [((5, 1), (5, 2)), ((5, 8), (5, 15)), ((9, 33), (9, 38)), ((11, 1), (11, 10)), ((13, 1), (13, 12))]
        {
            assert!(ranges.contains(&known), "{known:?} {ranges:?}");
        }
    }

    #[test]
    fn every_package_of_the_shipped_bundle_is_measured() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("opa");
        let mut files = Vec::new();
        let mut folders = vec![root.clone()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let name = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
                    files.push((name, std::fs::read(&path).unwrap()));
                }
            }
        }
        let bundle = Bundle::parse(&crate::domain::policy::bundle::BundleFiles::new(files).unwrap()).unwrap();
        for module in bundle.modules().with_tests() {
            let measured = measured(module);
            assert!(measured.is_ok(), "{}: {}", module.package(), measured.unwrap_err());
        }
    }
}
