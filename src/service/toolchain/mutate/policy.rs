//! Changes of Rego, from the syntax tree to the text.
//!
//! regorus's spans have two gaps that are closed here: an empty `set()` ends one token too late, and an object of
//! several members starts at its last one. What is bound by name (`x in xs`, arguments, patterns) is left alone.

use std::collections::BTreeMap;
use std::ops::Range;

use regorus::Value;
use regorus::unstable::{
    ArithOp, AssignOp, BoolOp, Expr, Literal, LiteralStmt, Query, Ref, Rule, RuleBody, RuleHead, Span,
};

use super::edit::{Edit, Operator};
use crate::domain::policy::profile::program::head;
use crate::domain::policy::profile::syntax::ParsedFile;

/// Every change of the files that decide; tests stay as they are.
pub(super) fn edits(files: &[ParsedFile<'_>]) -> Vec<Edit> {
    let mut definitions: BTreeMap<(String, String), usize> = BTreeMap::new();
    let policy = || files.iter().filter(|file| !file.is_test());
    for file in policy() {
        for head in file.module.policy.iter().filter_map(|rule| head(rule)) {
            *definitions.entry((file.package_name(), head.path)).or_default() += 1;
        }
    }
    let mut all = Vec::new();
    for file in policy() {
        let package = file.package_name();
        for rule in &file.module.policy {
            let Some(head) = head(rule) else { continue };
            let several = definitions.get(&(package.clone(), head.path.clone())).is_some_and(|n| *n > 1);
            let subject = format!("{package}.{}", head.path);
            let mut collector = Collector { file, subject, edits: Vec::new(), exprs: Vec::new(), queries: Vec::new() };
            collector.rule(rule, several);
            all.extend(collector.edits);
        }
    }
    all.sort_by(|a, b| (&a.file, a.range.start, a.operator).cmp(&(&b.file, b.range.start, b.operator)));
    all.dedup();
    all
}

/// An expression that is still to be visited.
struct Pending<'a> {
    expr: &'a Ref<Expr>,
    /// An index or the term of a comprehension: numbers there are places and marks, not bounds.
    mark: bool,
}

struct Collector<'a, 't> {
    file: &'a ParsedFile<'t>,
    subject: String,
    edits: Vec<Edit>,
    exprs: Vec<Pending<'a>>,
    queries: Vec<&'a Ref<Query>>,
}

impl<'a> Collector<'a, '_> {
    fn rule(&mut self, rule: &'a Rule, several: bool) {
        match rule {
            Rule::Default { value, .. } => self.push(value),
            Rule::Spec { span, head, bodies } => {
                if several {
                    self.edit(Operator::DropRule, range(span), String::new());
                }
                match head {
                    RuleHead::Compr { assign, .. } => self.value(assign.as_ref().map(|a| &a.value)),
                    RuleHead::Set { key, .. } => self.value(key.as_ref()),
                    RuleHead::Func { args, assign, .. } => {
                        args.iter().filter(|arg| is_constant(arg)).for_each(|arg| self.push(arg));
                        self.value(assign.as_ref().map(|a| &a.value));
                    }
                }
                bodies.iter().for_each(|body| self.body(body));
            }
        }
        while let Some(Pending { expr, mark }) = self.exprs.pop() {
            self.expr(expr, mark);
            while let Some(query) = self.queries.pop() {
                query.stmts.iter().for_each(|stmt| self.statement(stmt));
            }
        }
    }

    fn body(&mut self, body: &'a RuleBody) {
        if body.is_else {
            self.edit(Operator::DropElse, range(&body.span), String::new());
        }
        self.value(body.assign.as_ref().map(|a| &a.value));
        body.query.stmts.iter().for_each(|stmt| self.statement(stmt));
    }

    /// The value of a rule: itself something else, and whatever is inside.
    fn value(&mut self, value: Option<&'a Ref<Expr>>) {
        let Some(value) = value else { return };
        if !is_constant(value) {
            self.edit(Operator::ReplaceValue, range_of(value, &self.file.text), "null".to_owned());
        }
        self.push(value);
    }

    fn statement(&mut self, stmt: &'a LiteralStmt) {
        let whole = range(&stmt.span);
        let text = self.file.text.get(whole.clone()).unwrap_or_default();
        match &stmt.literal {
            Literal::SomeVars { .. } => {}
            Literal::SomeIn { collection, .. } => self.push(collection),
            Literal::Every { key, value, domain, query, .. } => {
                self.edit(Operator::DropCondition, whole.clone(), "true".to_owned());
                if let Some(by) = self.some_of(key.as_ref(), value, domain, query) {
                    self.edit(Operator::EveryToSome, whole, by);
                }
                self.push(domain);
                self.queries.push(query);
                self.drain_queries();
            }
            Literal::NotExpr { expr, .. } => {
                self.edit(Operator::DropCondition, whole.clone(), "true".to_owned());
                let bare = text.strip_prefix("not").unwrap_or(text).trim_start().to_owned();
                self.edit(Operator::Negate, whole, bare);
                self.push(expr);
            }
            Literal::Expr { expr, .. } => match expr.as_ref() {
                Expr::AssignExpr { op, lhs, rhs, .. } => {
                    if matches!(op, AssignOp::ColEq) && !is_constant(rhs) {
                        self.edit(Operator::ReplaceValue, range_of(rhs, &self.file.text), "null".to_owned());
                    }
                    if matches!(op, AssignOp::Eq) {
                        self.push(lhs);
                    }
                    self.push(rhs);
                }
                condition => {
                    self.edit(Operator::DropCondition, whole.clone(), "true".to_owned());
                    if !matches!(condition, Expr::BoolExpr { .. } | Expr::Bool { .. }) {
                        self.edit(Operator::Negate, whole, format!("not {text}"));
                    }
                    self.push(expr);
                }
            },
        }
    }

    fn drain_queries(&mut self) {
        while let Some(query) = self.queries.pop() {
            query.stmts.iter().for_each(|stmt| self.statement(stmt));
        }
    }

    /// `every x in xs { … }` as "there is an x in xs with …".
    fn some_of(&self, key: Option<&Span>, value: &Span, domain: &Ref<Expr>, query: &Ref<Query>) -> Option<String> {
        let text = self.file.text.as_str();
        let first = query.stmts.first()?;
        let body = text.get(range(&first.span).start..range(&query.span).end)?.trim_end().strip_suffix('}')?;
        let names = key.map_or_else(|| value.text().to_owned(), |key| format!("{}, {}", key.text(), value.text()));
        let domain = text.get(range_of(domain, text))?;
        Some(format!("{{1 | some {names} in {domain}; {} }} != set()", body.trim_end()))
    }

    fn expr(&mut self, expr: &'a Ref<Expr>, mark: bool) {
        match expr.as_ref() {
            Expr::Bool { span, value, .. } => {
                let by = if *value == Value::Bool(true) { "false" } else { "true" };
                self.edit(Operator::FlipBoolean, range(span), by.to_owned());
            }
            Expr::Number { span, .. } => self.number(span, mark),
            Expr::String { span, value, .. } | Expr::RawString { span, value, .. } if !mark => {
                let empty = matches!(value, Value::String(text) if text.is_empty());
                let by = if empty { "\"mutant\"" } else { "\"\"" };
                self.edit(Operator::ChangeText, quoted(span, &self.file.text), by.to_owned());
            }
            Expr::Array { items, .. } | Expr::Set { items, .. } => self.elements(expr, items),
            Expr::Object { fields, .. } => {
                for (_, key, value) in fields {
                    if !is_constant(key) {
                        self.push(key);
                    }
                    self.push(value);
                }
            }
            Expr::ArrayCompr { term, query, .. } | Expr::SetCompr { term, query, .. } => {
                self.exprs.push(Pending { expr: term, mark: matches!(term.as_ref(), Expr::Number { .. }) });
                self.queries.push(query);
            }
            Expr::ObjectCompr { key, value, query, .. } => {
                self.push(key);
                self.push(value);
                self.queries.push(query);
            }
            Expr::Call { params, .. } => params.iter().for_each(|param| self.push(param)),
            Expr::UnaryExpr { expr, .. } => self.push(expr),
            Expr::RefDot { refr, .. } => self.push(refr),
            Expr::RefBrack { refr, index, .. } => {
                self.push(refr);
                self.exprs.push(Pending { expr: index, mark: is_constant(index) });
            }
            Expr::BinExpr { span, lhs, rhs, .. } => {
                self.operands(span, lhs, rhs);
                self.push(lhs);
                self.push(rhs);
            }
            Expr::ArithExpr { op, lhs, rhs, .. } => {
                self.arithmetic(op, lhs);
                self.push(lhs);
                self.push(rhs);
            }
            Expr::BoolExpr { op, lhs, rhs, .. } => {
                self.comparison(op, lhs);
                self.push(lhs);
                self.push(rhs);
            }
            Expr::AssignExpr { rhs, .. } => self.push(rhs),
            Expr::Membership { key, value, collection, .. } => {
                key.iter().for_each(|key| self.push(key));
                self.push(value);
                self.push(collection);
            }
            _ => {}
        }
    }

    fn number(&mut self, span: &Span, mark: bool) {
        let Ok(number) = span.text().parse::<i64>() else { return };
        let terms = if mark { Vec::new() } else { vec![number.saturating_add(1), number.saturating_sub(1)] };
        for by in terms {
            self.edit(Operator::ShiftNumber, range(span), by.to_string());
        }
    }

    fn elements(&mut self, container: &Ref<Expr>, items: &'a [Ref<Expr>]) {
        let text = self.file.text.as_str();
        let start = range(container.span()).start;
        if !items.is_empty() {
            let parts = parts_of(text, start);
            if parts.len() == items.len() {
                for (index, part) in parts.iter().enumerate() {
                    let whole = range_of(container, text);
                    let (range, by) = match (parts.get(index + 1), index.checked_sub(1).and_then(|i| parts.get(i))) {
                        (Some(next), _) => (part.start..next.start, String::new()),
                        (None, Some(previous)) => (previous.end..part.end, String::new()),
                        (None, None) => {
                            let empty = if matches!(container.as_ref(), Expr::Set { .. }) { "set()" } else { "[]" };
                            (whole, empty.to_owned())
                        }
                    };
                    self.edit(Operator::DropElement, range, by);
                }
            }
        }
        items.iter().for_each(|item| self.push(item));
    }

    fn operands(&mut self, span: &Span, lhs: &Ref<Expr>, rhs: &Ref<Expr>) {
        let text = self.file.text.as_str();
        for side in [lhs, rhs] {
            let Some(kept) = text.get(range_of(side, text)) else { continue };
            let composed = matches!(side.as_ref(), Expr::BinExpr { .. } | Expr::ArithExpr { .. });
            let by = if composed { format!("({kept})") } else { kept.to_owned() };
            self.edit(Operator::DropOperand, range(span).start..range_of(rhs, text).end, by);
        }
    }

    fn arithmetic(&mut self, op: &ArithOp, lhs: &Ref<Expr>) {
        let (is, other) = match op {
            ArithOp::Add => ("+", "-"),
            ArithOp::Sub => ("-", "+"),
            ArithOp::Mul => ("*", "/"),
            ArithOp::Div => ("/", "*"),
            ArithOp::Mod => ("%", "*"),
        };
        self.replace_operator(Operator::DropOperand, lhs, is, &[other]);
    }

    fn comparison(&mut self, op: &BoolOp, lhs: &Ref<Expr>) {
        let (is, others): (&str, &[&str]) = match op {
            BoolOp::Lt => ("<", &["<=", ">="]),
            BoolOp::Le => ("<=", &["<", ">"]),
            BoolOp::Ge => (">=", &[">", "<"]),
            BoolOp::Gt => (">", &[">=", "<="]),
            BoolOp::Eq => ("==", &["!="]),
            BoolOp::Ne => ("!=", &["=="]),
        };
        self.replace_operator(Operator::Compare, lhs, is, others);
    }

    fn replace_operator(&mut self, operator: Operator, lhs: &Ref<Expr>, is: &str, others: &[&str]) {
        let end = range_of(lhs, &self.file.text).end;
        let Some(at) = self.file.text.get(end..).and_then(|rest| rest.find(is)).map(|at| end + at) else { return };
        for other in others {
            self.edit(operator, at..at + is.len(), (*other).to_owned());
        }
    }

    fn push(&mut self, expr: &'a Ref<Expr>) {
        self.exprs.push(Pending { expr, mark: false });
    }

    fn edit(&mut self, operator: Operator, range: Range<usize>, by: String) {
        let edit = Edit::new((self.file.path, &self.file.text), &self.subject, operator, range, by);
        if edit.original(&self.file.text) != edit.replacement {
            self.edits.push(edit);
        }
    }
}

fn is_constant(expr: &Ref<Expr>) -> bool {
    matches!(
        expr.as_ref(),
        Expr::String { .. } | Expr::RawString { .. } | Expr::Number { .. } | Expr::Bool { .. } | Expr::Null { .. }
    )
}

fn range(span: &Span) -> Range<usize> {
    let byte = |n: u32| usize::try_from(n).unwrap_or(0);
    byte(span.start)..byte(span.end)
}

/// The bytes of an expression.
fn range_of(expr: &Ref<Expr>, text: &str) -> Range<usize> {
    let Range { start, end } = range(expr.span());
    match expr.as_ref() {
        Expr::Set { items, .. } if items.is_empty() => {
            let length = text.get(start..end).and_then(|t| t.find(')')).map_or(end - start, |at| at + 1);
            start..start + length
        }
        Expr::Object { fields, .. } => {
            let first = fields.first().map_or(start, |(span, _, _)| range(span).start);
            let open = text.get(..first).and_then(|before| before.rfind('{'));
            if fields.is_empty() { start..end } else { open.unwrap_or(start)..end }
        }
        Expr::String { span, .. } | Expr::RawString { span, .. } => quoted(span, text),
        _ => start..end,
    }
}

/// The bytes of a string with its quotes: the span is of what stands between them.
fn quoted(span: &Span, text: &str) -> Range<usize> {
    let Range { start, end } = range(span);
    let is_quote = |at: usize| matches!(text.as_bytes().get(at), Some(b'"' | b'`'));
    let open = start.checked_sub(1).filter(|at| is_quote(*at));
    if let Some(open) = open.filter(|_| is_quote(end)) { open..end + 1 } else { start..end }
}

/// The elements between a bracket at `open` and its end, without blanks around them.
fn parts_of(text: &str, open: usize) -> Vec<Range<usize>> {
    let bytes = text.as_bytes();
    let (mut parts, mut depth, mut at, mut start) = (Vec::new(), 0_usize, open, open + 1);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'#' => at += bytes.iter().skip(at).take_while(|b| **b != b'\n').count(),
            b'"' => {
                at += 1;
                while let Some(inner) = bytes.get(at).filter(|b| **b != b'"') {
                    at += if *inner == b'\\' { 2 } else { 1 };
                }
            }
            b'`' => at += 1 + bytes.iter().skip(at + 1).take_while(|b| **b != b'`').count(),
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        let ends = depth == 0 || (depth == 1 && bytes.get(at) == Some(&b','));
        if ends {
            let part = text.get(start..at).unwrap_or_default();
            let blank = part.len() - part.trim_start().len();
            if !part.trim().is_empty() {
                parts.push(start + blank..start + part.trim_end().len());
            }
            start = at + 1;
        }
        if depth == 0 {
            break;
        }
        at += 1;
    }
    parts
}
