//! One Rego file as regorus parses it, and a flat walk over its rules.
//!
//! The syntax tree is the engine's own (`regorus::unstable`), so that what is checked is what will be evaluated. The
//! walk keeps its own stack: no text can overflow ours.

use regorus::unstable::{AssignOp, Expr, Literal, LiteralStmt, Module, Parser, Query, Ref, Rule, RuleHead, Span};
use regorus::{Source, Value};

use super::edits::Shifts;
use super::legacy::{self, Departure, RegoVersion};
use crate::domain::policy::bundle::{Finding, Place};

/// Said of a module of v0 that is none of v1 when heads and bodies are rewritten.
const AS_V1: &str = "correct the syntax: `if`, `in`, `every` and `contains` are no names in Rego v1, choose others";

/// A parsed file.
pub(crate) struct ParsedFile<'t> {
    pub(crate) path: &'t str,
    /// As the parser saw it ([`super::rewrite::layout`], [`super::legacy`]); its lines are those of the file.
    pub(crate) text: String,
    pub(crate) package: Vec<String>,
    pub(crate) module: Module,
    /// Whether it is a module of Rego v0.
    pub(crate) legacy: bool,
    /// What was not Rego v1, by its place in the file.
    pub(crate) departures: Vec<Departure>,
    /// The way from `text` back to the file.
    origin: Origin,
}

/// A file as it was written, and the rewrites between it and what is parsed, the last one first.
struct Origin {
    written: String,
    shifts: Vec<Shifts>,
}

impl Origin {
    fn offset(&self, at: usize) -> usize {
        self.shifts.iter().fold(at, |at, shifts| shifts.before(at))
    }
}

impl<'t> ParsedFile<'t> {
    /// Parses a text that [`super::scan`] let pass.
    pub(super) fn parse(path: &'t str, text: &str, version: RegoVersion) -> Result<Self, Finding> {
        let (laid_out, shifts) = super::rewrite::layout(path, text)?;
        let mut origin = Origin { written: text.to_owned(), shifts: vec![shifts] };
        if version == RegoVersion::V1 {
            return Self::of_v1(path, laid_out, origin, false);
        }
        let modern = legacy::modernize(path, &laid_out)
            .map_err(|report| syntax_error(path, &laid_out, &origin, &report, "correct the syntax (Rego v0)"))?;
        let offsets: Vec<usize> = modern.departures.iter().map(|departure| origin.offset(departure.offset)).collect();
        origin.shifts.insert(0, modern.shifts);
        let mut file = Self::of_v1(path, modern.text, origin, modern.legacy)?;
        let places = modern.departures.into_iter().zip(offsets);
        file.departures = places.map(|(departure, offset)| Departure { offset, ..departure }).collect();
        Ok(file)
    }

    /// Parses a text that [`ParsedFile::parse`] made of a file, and that was changed since.
    #[cfg(feature = "service")]
    pub(super) fn parse_again(path: &'t str, text: &str, legacy: bool) -> Result<Self, Finding> {
        let (laid_out, shifts) = super::rewrite::layout(path, text)?;
        Self::of_v1(path, laid_out, Origin { written: text.to_owned(), shifts: vec![shifts] }, legacy)
    }

    fn of_v1(path: &'t str, text: String, origin: Origin, legacy: bool) -> Result<Self, Finding> {
        let fix = if legacy { AS_V1 } else { "correct the syntax (Rego v1)" };
        let module = parse_module(path, &text).map_err(|report| syntax_error(path, &text, &origin, &report, fix))?;
        let package = static_path(&module.package.refr).filter(|names| names.iter().all(|n| is_identifier(n)));
        let Some(package) = package else {
            let place = Place::file(path);
            return Err(Finding::coded(
                "profile/package-name",
                place,
                "the package's name is not a path of names",
                "write `package a.b`",
            ));
        };
        Ok(Self { path, text, package, module, legacy, departures: Vec::new(), origin })
    }

    /// Whether the file holds tests: they are evaluated before activation and never for a decision.
    pub(crate) fn is_test(&self) -> bool {
        self.path.ends_with("_test.rego")
    }

    /// The dotted name of the package.
    pub(crate) fn package_name(&self) -> String {
        self.package.join(".")
    }

    /// The place of a span. regorus counts a tab as several columns and starts a text behind its quote; editors do not.
    pub(crate) fn place(&self, span: &Span) -> Place<'t> {
        let start = usize::try_from(span.start).unwrap_or(0);
        let quoted = |at: &usize| matches!(self.text.as_bytes().get(*at), Some(b'"' | b'`'));
        let opening = start.checked_sub(1).filter(quoted).filter(|_| !quoted(&start) || span.start == span.end);
        Place::at(self.path, &self.origin.written, self.origin.offset(opening.unwrap_or(start)))
    }

    /// Where a departure from Rego v1 is written.
    #[cfg(feature = "service")]
    pub(crate) fn departure_place(&self, departure: &Departure) -> Place<'t> {
        Place::at(self.path, &self.origin.written, departure.offset)
    }
}

/// Parses with the parser of the engine.
pub(in crate::domain::policy) fn parse_module(path: &str, text: &str) -> Result<Module, String> {
    let source = Source::from_contents(path.to_owned(), text.to_owned()).map_err(|e| e.to_string())?;
    let mut parser = Parser::new(&source).map_err(|e| e.to_string())?;
    parser.enable_rego_v1().map_err(|e| e.to_string())?;
    parser.parse().map_err(|e| e.to_string())
}

/// regorus reports `--> file:line:column`, the line with a caret, and `error: message`.
fn syntax_error(path: &str, text: &str, origin: &Origin, report: &str, fix: &str) -> Finding {
    let (line, column) = position(report).unwrap_or((1, 1));
    let start: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    let within = text.lines().nth(line.saturating_sub(1)).unwrap_or_default();
    let characters = without_tabs(within, column).saturating_sub(1);
    let offset = start + within.char_indices().nth(characters).map_or(within.len(), |(at, _)| at);
    let place = Place::at(path, &origin.written, origin.offset(offset));
    let what = report.rsplit("error: ").next().unwrap_or(report).trim().to_owned();
    Finding::coded("profile/syntax", place, what, fix)
}

/// A column in characters, from one in which a tab is four wide.
fn without_tabs(line: &str, column: usize) -> usize {
    let widths = line.chars().map(|c| if c == '\t' { 4 } else { 1 });
    let ends = widths.scan(1, |at, width| {
        *at += width;
        Some(*at)
    });
    ends.take_while(|end| *end <= column).count() + 1
}

/// The first `:line:column` of a report of regorus.
pub(crate) fn position(report: &str) -> Option<(usize, usize)> {
    let header = report.lines().find(|line| line.starts_with("--> "))?;
    let mut parts = header.rsplit(':');
    let column = parts.next()?.trim().parse().ok()?;
    Some((parts.next()?.parse().ok()?, column))
}

/// The name of a builtin, a rule, a document or a variable with what is selected from it: `data.atb.act.entry`.
#[derive(Debug)]
pub(crate) struct Reference<'a> {
    pub(crate) root: &'a Span,
    pub(crate) steps: Vec<Step>,
}

/// One selection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// By a name that is in the text.
    Name(String),
    /// By a value.
    Dynamic,
}

impl Reference<'_> {
    /// The names up to the first selection by value, root included, and whether there is such a selection.
    pub(crate) fn names(&self) -> (Vec<String>, bool) {
        let named = self.steps.iter().map_while(|step| match step {
            Step::Name(name) => Some(name.clone()),
            Step::Dynamic => None,
        });
        let names: Vec<String> = std::iter::once(self.root.text().to_owned()).chain(named).collect();
        let dynamic = names.len() <= self.steps.len();
        (names, dynamic)
    }
}

/// What the walk meets.
pub(crate) enum Node<'a> {
    /// Something is read.
    Reference(Reference<'a>),
    /// Something is called; the arguments follow as nodes of their own.
    Call(Reference<'a>, &'a [Ref<Expr>]),
    /// A local variable is introduced.
    Binding(&'a Span),
    /// A statement of a body; its expressions follow.
    Statement(&'a LiteralStmt),
}

/// Visits everything in a rule, in no particular order.
pub(crate) fn walk_rule<'a>(rule: &'a Rule, visit: &mut impl FnMut(Node<'a>)) {
    let mut pending = Pending::default();
    match rule {
        Rule::Default { args, value, .. } => {
            args.iter().for_each(|arg| bind_pattern(arg, visit));
            pending.exprs.push(value);
        }
        Rule::Spec { head, bodies, .. } => {
            let assign = match head {
                RuleHead::Compr { refr, assign, .. } => {
                    pending.push_head_keys(refr);
                    assign
                }
                RuleHead::Set { key, .. } => {
                    pending.exprs.extend(key);
                    &None
                }
                RuleHead::Func { args, assign, .. } => {
                    args.iter().for_each(|arg| bind_pattern(arg, visit));
                    assign
                }
            };
            pending.exprs.extend(assign.iter().map(|a| &a.value));
            for body in bodies {
                pending.exprs.extend(body.assign.iter().map(|a| &a.value));
                pending.queries.push(&body.query);
            }
        }
    }
    pending.drain(visit);
}

/// Visits everything in an expression.
pub(crate) fn walk_expr<'a>(expr: &'a Ref<Expr>, visit: &mut impl FnMut(Node<'a>)) {
    Pending { exprs: vec![expr], queries: Vec::new() }.drain(visit);
}

/// Visits everything in a statement.
pub(in crate::domain::policy) fn walk_statement<'a>(stmt: &'a LiteralStmt, visit: &mut impl FnMut(Node<'a>)) {
    let mut pending = Pending::default();
    pending.statement(stmt, visit);
    pending.drain(visit);
}

/// What is still to be visited.
#[derive(Default)]
struct Pending<'a> {
    exprs: Vec<&'a Ref<Expr>>,
    queries: Vec<&'a Ref<Query>>,
}

impl<'a> Pending<'a> {
    fn drain(mut self, visit: &mut impl FnMut(Node<'a>)) {
        loop {
            if let Some(expr) = self.exprs.pop() {
                self.expr(expr, visit);
            } else if let Some(query) = self.queries.pop() {
                query.stmts.iter().for_each(|stmt| self.statement(stmt, visit));
            } else {
                return;
            }
        }
    }

    fn push_head_keys(&mut self, head: &'a Ref<Expr>) {
        let mut at = head;
        while let Expr::RefDot { refr, .. } | Expr::RefBrack { refr, .. } = at.as_ref() {
            if let Expr::RefBrack { index, .. } = at.as_ref() {
                self.exprs.push(index);
            }
            at = refr;
        }
    }

    fn statement(&mut self, stmt: &'a LiteralStmt, visit: &mut impl FnMut(Node<'a>)) {
        visit(Node::Statement(stmt));
        for with in &stmt.with_mods {
            self.exprs.extend([&with.refr, &with.r#as]);
        }
        match &stmt.literal {
            Literal::SomeVars { vars, .. } => vars.iter().for_each(|var| visit(Node::Binding(var))),
            Literal::SomeIn { key, value, collection, .. } => {
                key.iter().chain([value]).for_each(|pattern| bind_pattern(pattern, visit));
                self.exprs.push(collection);
            }
            Literal::Expr { expr, .. } | Literal::NotExpr { expr, .. } => self.exprs.push(expr),
            Literal::Every { key, value, domain, query, .. } => {
                key.iter().chain([value]).for_each(|var| visit(Node::Binding(var)));
                self.exprs.push(domain);
                self.queries.push(query);
            }
        }
    }

    fn expr(&mut self, expr: &'a Ref<Expr>, visit: &mut impl FnMut(Node<'a>)) {
        match expr.as_ref() {
            Expr::Var { .. } | Expr::RefDot { .. } | Expr::RefBrack { .. } => {
                if let Some(reference) = self.reference(expr) {
                    visit(Node::Reference(reference));
                }
            }
            Expr::Call { fcn, params, .. } => {
                if let Some(name) = self.reference(fcn) {
                    visit(Node::Call(name, params));
                }
                self.exprs.extend(params);
            }
            Expr::Array { items, .. } | Expr::Set { items, .. } => self.exprs.extend(items),
            Expr::Object { fields, .. } => self.exprs.extend(fields.iter().flat_map(|(_, key, value)| [key, value])),
            Expr::ArrayCompr { term, query, .. } | Expr::SetCompr { term, query, .. } => {
                self.exprs.push(term);
                self.queries.push(query);
            }
            Expr::ObjectCompr { key, value, query, .. } => {
                self.exprs.extend([key, value]);
                self.queries.push(query);
            }
            Expr::UnaryExpr { expr, .. } => self.exprs.push(expr),
            Expr::BinExpr { lhs, rhs, .. } | Expr::BoolExpr { lhs, rhs, .. } | Expr::ArithExpr { lhs, rhs, .. } => {
                self.exprs.extend([lhs, rhs]);
            }
            Expr::AssignExpr { op, lhs, rhs, .. } => {
                self.exprs.push(rhs);
                match op {
                    AssignOp::ColEq => bind_pattern(lhs, visit),
                    AssignOp::Eq => self.exprs.push(lhs),
                }
            }
            Expr::Membership { key, value, collection, .. } => {
                self.exprs.extend(key);
                self.exprs.extend([value, collection]);
            }
            Expr::String { .. }
            | Expr::RawString { .. }
            | Expr::Number { .. }
            | Expr::Bool { .. }
            | Expr::Null { .. } => {}
        }
    }

    /// Reads a chain of selections; what selects by value, and a root that is not a name, are left to be visited.
    fn reference(&mut self, expr: &'a Ref<Expr>) -> Option<Reference<'a>> {
        let (mut at, mut steps) = (expr, Vec::new());
        loop {
            match at.as_ref() {
                Expr::RefDot { refr, field, .. } => {
                    steps.push(Step::Name(field.0.text().to_owned()));
                    at = refr;
                }
                Expr::RefBrack { refr, index, .. } => {
                    steps.push(literal_text(index).map_or(Step::Dynamic, Step::Name));
                    self.exprs.push(index);
                    at = refr;
                }
                Expr::Var { span, .. } => {
                    steps.reverse();
                    return Some(Reference { root: span, steps });
                }
                _ => {
                    self.exprs.push(at);
                    return None;
                }
            }
        }
    }
}

/// The variables of a pattern; its literals bind nothing.
pub(super) fn bind_pattern<'a>(pattern: &'a Ref<Expr>, visit: &mut impl FnMut(Node<'a>)) {
    let mut pending = vec![pattern];
    while let Some(expr) = pending.pop() {
        match expr.as_ref() {
            Expr::Var { span, .. } => visit(Node::Binding(span)),
            Expr::Array { items, .. } => pending.extend(items),
            Expr::Object { fields, .. } => pending.extend(fields.iter().map(|(_, _, value)| value)),
            _ => {}
        }
    }
}

/// The text of a string literal.
pub(crate) fn literal_text(expr: &Ref<Expr>) -> Option<String> {
    match expr.as_ref() {
        Expr::String { value: Value::String(text), .. } | Expr::RawString { value: Value::String(text), .. } => {
            Some(text.to_string())
        }
        _ => None,
    }
}

/// Reads a chain of selections that starts with a name.
pub(crate) fn reference(expr: &Ref<Expr>) -> Option<Reference<'_>> {
    Pending::default().reference(expr)
}

/// The names of a path without any selection by value.
pub(crate) fn static_path(expr: &Ref<Expr>) -> Option<Vec<String>> {
    let (names, dynamic) = reference(expr)?.names();
    (!dynamic).then_some(names)
}

pub(crate) fn is_identifier(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}
