//! Legal Rego that regorus reads differently, put so that it reads it as OPA does.
//!
//! What people wrote is what findings, errors and coverage speak of: no line is added or removed. Before the parser: a
//! body behind a body gets the head of its rule, and a line that starts with `(` or `[` is kept from becoming part of
//! the line before. Behind the checks: in a negation, OPA evaluates the operands first and outside of it, so that one
//! that is missing makes the statement undefined; regorus takes the negation of a missing operand for true.

use regorus::unstable::{AssignOp, BoolOp, Expr, Literal, LiteralStmt, Ref};

use super::edits::{Edit, Shifts, apply};
use super::program::{Meaning, Program};
use super::syntax::{Node, ParsedFile, reference, walk_expr, walk_rule};
use crate::domain::policy::bundle::{Finding, Place};

// Before the parser

/// A text as the parser is to see it, and where it came from.
pub(super) fn layout(file: &str, text: &str) -> Result<(String, Shifts), Finding> {
    let mut walk =
        Layout { file, text, frames: Vec::new(), last: Last::default(), rule: Rule::default(), edits: Vec::new() };
    for token in (Tokens { text, at: 0 }) {
        walk.token(&token)?;
    }
    let mut out = text.to_owned();
    let shifts = apply(&mut out, walk.edits);
    Ok((out, shifts))
}

#[derive(Debug, Clone, Copy)]
struct Token<'t> {
    text: &'t str,
    start: usize,
    /// Whether nothing but blanks stands before it on its line.
    first: bool,
}

struct Tokens<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Iterator for Tokens<'t> {
    type Item = Token<'t>;

    fn next(&mut self) -> Option<Token<'t>> {
        loop {
            let rest = self.text.get(self.at..)?;
            let c = rest.chars().next()?;
            let length = match c {
                '#' => rest.find('\n').unwrap_or(rest.len()),
                c if c.is_whitespace() => c.len_utf8(),
                _ => {
                    let length = token_length(rest, c);
                    let start = self.at;
                    self.at += length;
                    let line = self.text.get(..start)?.rsplit('\n').next().unwrap_or_default();
                    return Some(Token { text: rest.get(..length)?, start, first: line.trim().is_empty() });
                }
            };
            self.at += length;
        }
    }
}

fn token_length(rest: &str, first: char) -> usize {
    match first {
        '"' => {
            let mut escaped = false;
            let end = rest.char_indices().skip(1).find(|(_, c)| {
                let ends = (*c == '"' && !escaped) || *c == '\n';
                escaped = *c == '\\' && !escaped;
                ends
            });
            end.map_or(rest.len(), |(at, c)| at + c.len_utf8())
        }
        '`' => rest.get(1..).and_then(|r| r.find('`')).map_or(rest.len(), |at| at + 2),
        c if is_word(c) => rest.find(|c| !is_word(c)).unwrap_or(rest.len()),
        c => c.len_utf8(),
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Words behind which a term begins.
const OPENERS: [&str; 14] =
    ["if", "in", "else", "some", "every", "not", "with", "as", "contains", "default", "import", "package", "and", "or"];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Frame {
    /// Statements.
    Query,
    /// A collection, until its bar makes a comprehension of it.
    Collection,
    /// Arguments, an index, a group.
    Other,
}

#[derive(Debug, Default)]
struct Last {
    end: usize,
    /// Whether a term ends here.
    term: bool,
    closes_body: bool,
    every: bool,
}

#[derive(Debug, Default)]
struct Rule {
    start: usize,
    /// Where the head ends: at the brace of the first body.
    head_end: Option<usize>,
    has_else: bool,
}

struct Layout<'t> {
    file: &'t str,
    text: &'t str,
    frames: Vec<Frame>,
    last: Last,
    rule: Rule,
    edits: Vec<Edit>,
}

impl Layout<'_> {
    fn token(&mut self, token: &Token<'_>) -> Result<(), Finding> {
        let top = self.frames.last().copied();
        if top.is_none() && token.first && !matches!(token.text, "{" | "else") {
            self.rule = Rule { start: token.start, ..Rule::default() };
        }
        let mut closes_body = false;
        match token.text {
            "(" | "[" => {
                if token.first && top == Some(Frame::Query) && self.last.term {
                    self.edits.push(Edit { start: self.last.end, end: self.last.end, text: ";".to_owned() });
                }
                let literal = token.text == "[" && (!self.last.term || token.first);
                self.frames.push(if literal { Frame::Collection } else { Frame::Other });
            }
            "{" => {
                let body = self.opens_body(token, top);
                if body && top.is_none() {
                    self.body(token)?;
                }
                self.frames.push(if body { Frame::Query } else { Frame::Collection });
            }
            ")" | "]" | "}" => {
                let closed = self.frames.pop();
                closes_body = token.text == "}" && closed == Some(Frame::Query) && self.frames.is_empty();
            }
            "|" => {
                if let Some(frame @ Frame::Collection) = self.frames.last_mut() {
                    *frame = Frame::Query;
                }
            }
            "else" if top.is_none() => self.rule.has_else = true,
            _ => {}
        }
        let word = token.text.starts_with(|c| is_word(c) || matches!(c, '"' | '`'));
        let term = (word && !OPENERS.contains(&token.text)) || matches!(token.text, ")" | "]" | "}");
        let every = token.text == "every" || (self.last.every && !matches!(token.text, "{" | ";"));
        self.last = Last { end: token.start + token.text.len(), term, closes_body, every };
        Ok(())
    }

    /// A brace behind `if`, behind the domain of `every`, behind a body, and behind the head of a rule of Rego v0.
    fn opens_body(&self, token: &Token<'_>, top: Option<Frame>) -> bool {
        let behind = self.text.get(..self.last.end).unwrap_or_default();
        behind.ends_with("if")
            || behind.ends_with("else")
            || self.last.closes_body
            || (self.last.term && (top.is_none() || self.last.every) && !token.first)
    }

    /// The body of a rule: the first says where the head ends, another behind it gets the head.
    fn body(&mut self, token: &Token<'_>) -> Result<(), Finding> {
        if !self.last.closes_body {
            self.rule.head_end.get_or_insert(token.start);
            return Ok(());
        }
        let head = self.rule.head_end.and_then(|end| self.text.get(self.rule.start..end)).unwrap_or_default();
        if head.is_empty() || head.contains(['\n', '#', '`']) || self.rule.has_else {
            let place = Place::at(self.file, self.text, token.start);
            let what = "a second body directly behind the first";
            return Err(Finding::coded("profile/chained-body", place, what, "repeat the head, or write `else`"));
        }
        self.edits.push(Edit { start: token.start, end: token.start, text: head.to_owned() });
        Ok(())
    }
}

// Behind the checks

/// The edits that put the operands of negations before them; or what cannot be put so.
pub(super) fn negations(file: &ParsedFile<'_>, program: &Program<'_>) -> Result<Vec<Edit>, Vec<Finding>> {
    let mut negations =
        Negations { file, program, package: file.package_name(), edits: Vec::new(), findings: Vec::new(), count: 0 };
    for rule in &file.module.policy {
        walk_rule(rule, &mut |node| {
            if let Node::Statement(stmt) = node {
                negations.statement(stmt);
            }
        });
    }
    if negations.findings.is_empty() { Ok(negations.edits) } else { Err(negations.findings) }
}

struct Negations<'a, 't> {
    file: &'a ParsedFile<'t>,
    program: &'a Program<'t>,
    package: String,
    edits: Vec<Edit>,
    findings: Vec<Finding>,
    count: usize,
}

impl Negations<'_, '_> {
    fn statement(&mut self, stmt: &LiteralStmt) {
        let Literal::NotExpr { span, expr } = &stmt.literal else { return };
        if !stmt.with_mods.is_empty() {
            return;
        }
        let Ok(start) = usize::try_from(span.start) else { return };
        let mut bound = String::new();
        for operand in operands(expr) {
            if may_be_undefined(self.program, &self.package, operand) {
                match self.bind(operand) {
                    Some(binding) => bound.push_str(&binding),
                    None => self.refuse(operand),
                }
            }
        }
        if bound.is_empty() {
            return;
        }
        // A body of one statement needs no braces; of two it does.
        let before = self.file.text.get(..start).unwrap_or_default().trim_end();
        let Ok(end) = usize::try_from(span.end) else { return };
        if before.ends_with("if") {
            self.edits.push(Edit { start, end: start, text: format!("{{ {bound}") });
            self.edits.push(Edit { start: end, end, text: " }".to_owned() });
        } else {
            self.edits.push(Edit { start, end: start, text: bound });
        }
    }

    /// A name for the operand, put in its place, and the statement that binds it.
    fn bind(&mut self, operand: &Ref<Expr>) -> Option<String> {
        let (start, end) = (usize::try_from(operand.span().start).ok()?, usize::try_from(operand.span().end).ok()?);
        let text = self.file.text.get(start..end)?;
        let mut wildcard = false;
        walk_expr(operand, &mut |node| {
            wildcard |= matches!(node, Node::Reference(r) if r.root.text() == "_");
        });
        let lines = text.matches('\n').count();
        // A comment or a raw text would not survive on one line, and a negation inside would be edited twice.
        if wildcard || (lines > 0 && text.contains(['#', '`'])) || has_negation(operand) {
            return None;
        }
        self.count += 1;
        let name = format!("__negated_{}", self.count);
        let one_line = text.split('\n').map(str::trim).collect::<Vec<_>>().join(" ");
        self.edits.push(Edit { start, end, text: format!("{name}{}", "\n".repeat(lines)) });
        Some(format!("{name} := {one_line}; "))
    }

    fn refuse(&mut self, operand: &Ref<Expr>) {
        let place = self.file.place(operand.span());
        let what = "a negation over something that may be missing, and that cannot be bound before it";
        let fix = "bind it first: `x := …`, then `not …(x)`";
        self.findings.push(Finding::coded("profile/negated-undefined", place, what, fix));
    }
}

fn has_negation(expr: &Ref<Expr>) -> bool {
    let mut found = false;
    walk_expr(expr, &mut |node| {
        found |= matches!(node, Node::Statement(stmt) if matches!(stmt.literal, Literal::NotExpr { .. }));
    });
    found
}

/// What OPA evaluates before the negation: the operands; of an equality, whose two sides it unifies, only what selects
/// members by value in them, and sides that are no references.
fn operands(expr: &Ref<Expr>) -> Vec<&Ref<Expr>> {
    match expr.as_ref() {
        Expr::BoolExpr { op: BoolOp::Eq, lhs, rhs, .. } | Expr::AssignExpr { op: AssignOp::Eq, lhs, rhs, .. } => {
            [lhs, rhs].into_iter().flat_map(side).collect()
        }
        Expr::Call { params, .. } => params.iter().collect(),
        Expr::BinExpr { lhs, rhs, .. }
        | Expr::BoolExpr { lhs, rhs, .. }
        | Expr::ArithExpr { lhs, rhs, .. }
        | Expr::AssignExpr { lhs, rhs, .. } => vec![lhs, rhs],
        Expr::Membership { key, value, collection, .. } => key.iter().chain([value, collection]).collect(),
        Expr::RefDot { .. } | Expr::RefBrack { .. } => indexes(expr),
        Expr::Array { .. } | Expr::Set { .. } | Expr::Object { .. } | Expr::UnaryExpr { .. } => vec![expr],
        _ => Vec::new(),
    }
}

fn side(expr: &Ref<Expr>) -> Vec<&Ref<Expr>> {
    match expr.as_ref() {
        Expr::Var { .. } => Vec::new(),
        Expr::RefDot { .. } | Expr::RefBrack { .. } => indexes(expr),
        _ => vec![expr],
    }
}

/// The values that select members in a reference.
pub(super) fn indexes(expr: &Ref<Expr>) -> Vec<&Ref<Expr>> {
    let (mut at, mut indexes) = (expr, Vec::new());
    while let Expr::RefDot { refr, .. } | Expr::RefBrack { refr, .. } = at.as_ref() {
        if let Expr::RefBrack { index, .. } = at.as_ref() {
            indexes.push(index);
        }
        at = refr;
    }
    indexes
}

/// Whether an expression can be undefined where its variables are bound.
pub(super) fn may_be_undefined(program: &Program<'_>, package: &str, expr: &Ref<Expr>) -> bool {
    let mut pending = vec![expr];
    while let Some(expr) = pending.pop() {
        match expr.as_ref() {
            Expr::String { .. }
            | Expr::RawString { .. }
            | Expr::Number { .. }
            | Expr::Bool { .. }
            | Expr::Null { .. } => {}
            Expr::ArrayCompr { .. } | Expr::SetCompr { .. } | Expr::ObjectCompr { .. } => {}
            Expr::Array { items, .. } | Expr::Set { items, .. } => pending.extend(items),
            Expr::Object { fields, .. } => pending.extend(fields.iter().flat_map(|(_, key, value)| [key, value])),
            Expr::Var { .. } => {
                let defined = reference(expr)
                    .is_some_and(|r| matches!(program.meaning(package, &r), Meaning::Other | Meaning::Input(false)));
                if !defined {
                    return true;
                }
            }
            _ => return true,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_starts_with_a_bracket_is_a_statement_of_its_own() {
        let seen = |text: &str| layout("a.rego", text).unwrap().0;
        assert_eq!(seen("x if {\n\ta := b # c\n\t(a) > 1\n}"), "x if {\n\ta := b; # c\n\t(a) > 1\n}");
        assert_eq!(seen("x if {\n\tf(a)\n\t[1] == a\n}"), "x if {\n\tf(a);\n\t[1] == a\n}");
        for same in [
            "x := f(\n\t(1),\n\t[2],\n)",
            "x := [\n\t[1],\n\t(2),\n]",
            "x if {\n\ta :=\n\t\t(1)\n}",
            "x if {\n\tsome a in\n\t\t[1]\n}",
            "x := {\"a\": 1,\n\t\"b\":\n\t[1]}",
            "x if {\n\ty == \"}\n\"\n\t}",
        ] {
            assert_eq!(seen(same), same);
        }
        assert_eq!(seen("x := [a |\n\tsome a in b\n\t(a) > 1\n]"), "x := [a |\n\tsome a in b;\n\t(a) > 1\n]");
    }

    #[test]
    fn a_body_behind_a_body_gets_the_head_of_its_rule() {
        let seen = |text: &str| layout("a.rego", text).unwrap().0;
        assert_eq!(seen("x := 1 if {\n\ta\n} {\n\tb\n}"), "x := 1 if {\n\ta\n} x := 1 if {\n\tb\n}");
        assert_eq!(seen("x if {\n\ta\n}\n{\n\tb\n}"), "x if {\n\ta\n}\nx if {\n\tb\n}");
        let finding = layout("a.rego", "x := 1 if {\n\ta\n} else := 2 if {\n\tb\n} {\n\tc\n}").unwrap_err();
        assert_eq!((finding.code.as_ref(), finding.line, finding.column), ("profile/chained-body", 5, 3));
    }
}
