//! Variables that are declared by `some x` without `in`, or, in a module of Rego v0, not at all: what binds them.
//!
//! OPA binds such a variable by what selects with it (`xs[i]`) or by an equation (`x = …`), in whatever order that takes.
//! regorus gives OPA's answer, but for these, which are refused: a variable that nothing binds, one that a negation, an
//! `every` or a comprehension reads before the statement that binds it, and one that has the name of another variable
//! of the scopes around or inside of its own.
//!
//! INVARIANT: behind this check every such variable has a value where a negation reads it, so that it is not the missing
//! value which makes the negation true.

use std::collections::{BTreeMap, BTreeSet};

use regorus::unstable::{AssignOp, Expr, Literal, LiteralStmt, Query, Ref, Rule, RuleHead, Span};

use super::rewrite::indexes;
use super::syntax::{Node, walk_rule};
use super::terms::{bindings, pattern, statement_terms};

/// What is wrong with a variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Problem {
    /// Nothing gives it a value.
    Unbound,
    /// It is read before it has one, where regorus does not wait for it.
    Late,
    /// There is another variable of the name.
    Shadows,
}

/// Looks at the variables of a rule; `undeclared`: those that nothing declares as well. `local` says of a name whether it
/// is a variable, and not a rule, an import or a document.
pub(super) fn check<'a>(rule: &'a Rule, undeclared: bool, local: &dyn Fn(&Span) -> bool) -> Vec<(&'a Span, Problem)> {
    if !undeclared && !declares(rule) {
        return Vec::new();
    }
    let mut check = Check { undeclared, local, problems: Vec::new() };
    check.rule(rule);
    check.problems.sort_by_key(|(span, problem)| (span.start, *problem));
    check.problems.dedup_by_key(|(span, _)| span.start);
    check.problems
}

fn declares(rule: &Rule) -> bool {
    let mut found = false;
    walk_rule(rule, &mut |node| {
        found |= matches!(node, Node::Statement(stmt) if matches!(stmt.literal, Literal::SomeVars { .. }));
    });
    found
}

type Names = BTreeSet<String>;

/// The variables around a query.
#[derive(Debug, Clone, Default)]
struct Outer {
    known: Names,
    /// Those among them that this check is about.
    tracked: Names,
}

/// What an expression does outside of the queries in it.
#[derive(Default)]
struct Facts<'a> {
    /// The root, where it is a variable, and the values that select.
    selections: Vec<(Option<&'a Span>, Vec<&'a Ref<Expr>>)>,
    reads: Vec<&'a Span>,
    nested: Vec<Nested<'a>>,
}

struct Nested<'a> {
    terms: Vec<&'a Ref<Expr>>,
    query: &'a Ref<Query>,
}

struct Check<'a, 'p> {
    undeclared: bool,
    local: &'p dyn Fn(&Span) -> bool,
    problems: Vec<(&'a Span, Problem)>,
}

impl<'a> Check<'a, '_> {
    fn rule(&mut self, rule: &'a Rule) {
        let Rule::Spec { head, bodies, .. } = rule else { return };
        let mut outer = Outer::default();
        let mut terms: Vec<&Ref<Expr>> = Vec::new();
        let assign = match head {
            RuleHead::Compr { refr, assign, .. } => {
                terms.extend(indexes(refr));
                assign.as_ref()
            }
            RuleHead::Set { refr, key, .. } => {
                terms.extend(indexes(refr));
                terms.extend(key);
                None
            }
            RuleHead::Func { args, assign, .. } => {
                outer.known.extend(args.iter().flat_map(pattern).map(name));
                assign.as_ref()
            }
        };
        let value = assign.map(|assign| &assign.value);
        if bodies.is_empty() {
            terms.extend(value);
            return self.query(&[], &terms, &outer);
        }
        for body in bodies {
            let mut terms = if body.is_else { Vec::new() } else { terms.clone() };
            terms.extend(if body.is_else { body.assign.as_ref().map(|assign| &assign.value) } else { value });
            self.query(&body.query.stmts, &terms, &outer);
        }
    }

    /// A query with what is computed from its variables.
    fn query(&mut self, stmts: &'a [LiteralStmt], terms: &[&'a Ref<Expr>], outer: &Outer) {
        let facts: Vec<Facts<'a>> = stmts.iter().map(|stmt| self.facts(&statement_terms(stmt))).collect();
        let declared = self.declared(stmts, outer);
        let bound = self.bound(stmts, &facts, &outer.known);
        let explicit: Names = bindings(stmts).map(name).collect();
        for span in &declared {
            if !bound.contains_key(span.text()) {
                self.problems.push((span, Problem::Unbound));
            }
        }
        let is_declared: Names = declared.iter().map(|span| name(span)).collect();
        let mut inner = outer.clone();
        for variable in bound.keys().filter(|variable| !outer.known.contains(*variable)) {
            inner.known.insert(variable.clone());
            if is_declared.contains(variable) || !explicit.contains(variable) {
                inner.tracked.insert(variable.clone());
            }
        }
        for (at, (stmt, facts)) in stmts.iter().zip(&facts).enumerate() {
            let late = |variable: &str| {
                inner.tracked.contains(variable) && bound.get(variable).is_some_and(|bound| *bound >= Some(at))
            };
            let negated = matches!(stmt.literal, Literal::NotExpr { .. } | Literal::Every { .. });
            self.reads(&facts.reads, &inner.known, |variable| negated && late(variable));
            for nested in &facts.nested {
                self.nested(nested, &inner, &late);
            }
            if let Literal::Every { key, value, query, .. } = &stmt.literal {
                let mut scope = inner.clone();
                for span in key.iter().chain([value]) {
                    self.shadow(span, &inner.tracked);
                    scope.known.insert(name(span));
                }
                self.late(&query.stmts, &[], &late);
                self.query(&query.stmts, &[], &scope);
            }
        }
        let head = self.facts(terms);
        self.reads(&head.reads, &inner.known, |_| false);
        for nested in &head.nested {
            self.nested(nested, &inner, &|_| false);
        }
    }

    fn nested(&mut self, nested: &Nested<'a>, outer: &Outer, late: &dyn Fn(&str) -> bool) {
        self.late(&nested.query.stmts, &nested.terms, late);
        for span in bindings(&nested.query.stmts) {
            self.shadow(span, &outer.tracked);
        }
        self.query(&nested.query.stmts, &nested.terms, outer);
    }

    fn shadow(&mut self, span: &'a Span, names: &Names) {
        if names.contains(span.text()) {
            self.problems.push((span, Problem::Shadows));
        }
    }

    /// What is read in a query, however deep, of what is bound behind it.
    fn late(&mut self, stmts: &'a [LiteralStmt], terms: &[&'a Ref<Expr>], late: &dyn Fn(&str) -> bool) {
        let mut all: Vec<&'a Ref<Expr>> = terms.to_vec();
        all.extend(stmts.iter().flat_map(statement_terms));
        let facts = self.facts(&all);
        self.problems.extend(facts.reads.iter().filter(|span| late(span.text())).map(|span| (*span, Problem::Late)));
        for nested in &facts.nested {
            self.late(&nested.query.stmts, &nested.terms, late);
        }
        for stmt in stmts {
            if let Literal::Every { query, .. } = &stmt.literal {
                self.late(&query.stmts, &[], late);
            }
        }
    }

    fn reads(&mut self, reads: &[&'a Span], known: &Names, late: impl Fn(&str) -> bool) {
        for span in reads {
            if late(span.text()) {
                self.problems.push((span, Problem::Late));
            } else if self.undeclared && !known.contains(span.text()) {
                self.problems.push((span, Problem::Unbound));
            }
        }
    }

    /// The variables of `some x` in a query.
    fn declared(&mut self, stmts: &'a [LiteralStmt], outer: &Outer) -> Vec<&'a Span> {
        let mut seen = outer.known.clone();
        seen.extend(bindings(stmts).map(name));
        let mut declared = Vec::new();
        for stmt in stmts {
            let Literal::SomeVars { vars, .. } = &stmt.literal else { continue };
            for span in vars {
                if !seen.insert(name(span)) {
                    self.problems.push((span, Problem::Shadows));
                }
                declared.push(span);
            }
        }
        declared
    }

    /// The variables that have a value, each with the statement that gives it; none for those from around.
    fn bound(&self, stmts: &'a [LiteralStmt], facts: &[Facts<'a>], known: &Names) -> BTreeMap<String, Option<usize>> {
        let mut bound: BTreeMap<String, Option<usize>> = known.iter().map(|name| (name.clone(), None)).collect();
        loop {
            let before = bound.len();
            for (at, (stmt, facts)) in stmts.iter().zip(facts).enumerate() {
                for span in self.gives(stmt, facts, &bound) {
                    bound.entry(name(span)).or_insert(Some(at));
                }
            }
            if bound.len() == before {
                return bound;
            }
        }
    }

    fn gives(
        &self,
        stmt: &'a LiteralStmt,
        facts: &Facts<'a>,
        bound: &BTreeMap<String, Option<usize>>,
    ) -> Vec<&'a Span> {
        let mut given = Vec::new();
        let own: Names = self.selected(facts, bound).map(name).collect();
        let ready = |span: &Span| bound.contains_key(span.text()) || own.contains(span.text());
        let equation =
            matches!(&stmt.literal, Literal::Expr { expr, .. } if matches!(expr.as_ref(), Expr::AssignExpr { .. }));
        // As in OPA: what a condition reads beside must have a value before.
        if !equation && !facts.reads.iter().all(|span| ready(span)) {
            return given;
        }
        match &stmt.literal {
            Literal::NotExpr { .. } | Literal::Every { .. } | Literal::SomeVars { .. } => return given,
            Literal::SomeIn { key, value, .. } => {
                key.iter().chain([value]).for_each(|one| given.extend(pattern(one)));
            }
            Literal::Expr { expr, .. } => {
                if let Expr::AssignExpr { op, lhs, rhs, .. } = expr.as_ref() {
                    self.equation(op, lhs, rhs, bound, &mut given);
                }
            }
        }
        given.extend(self.selected(facts, bound));
        given
    }

    fn equation(
        &self,
        op: &AssignOp,
        lhs: &'a Ref<Expr>,
        rhs: &'a Ref<Expr>,
        bound: &BTreeMap<String, Option<usize>>,
        given: &mut Vec<&'a Span>,
    ) {
        let mut pending = vec![(lhs, rhs)];
        while let Some((lhs, rhs)) = pending.pop() {
            if let (Expr::Array { items: left, .. }, Expr::Array { items: right, .. }) = (lhs.as_ref(), rhs.as_ref())
                && left.len() == right.len()
            {
                pending.extend(left.iter().zip(right));
                continue;
            }
            if self.has_value(rhs, bound) {
                given.extend(pattern(lhs));
            }
            if matches!(op, AssignOp::Eq) && self.has_value(lhs, bound) {
                given.extend(pattern(rhs));
            }
        }
    }

    fn has_value(&self, expr: &'a Ref<Expr>, bound: &BTreeMap<String, Option<usize>>) -> bool {
        let facts = self.facts(&[expr]);
        let own: Names = self.selected(&facts, bound).map(name).collect();
        facts.reads.iter().all(|span| bound.contains_key(span.text()) || own.contains(span.text()))
    }

    /// What selections bind: `i` in `xs[i]` where `xs` has a value.
    fn selected<'f>(
        &self,
        facts: &'f Facts<'a>,
        bound: &'f BTreeMap<String, Option<usize>>,
    ) -> impl Iterator<Item = &'a Span> + use<'a, 'f> {
        let known = |root: &Option<&Span>| root.is_none_or(|root| bound.contains_key(root.text()));
        let of = facts.selections.iter().filter(move |(root, _)| known(root));
        of.flat_map(|(_, values)| values).flat_map(|value| pattern(value))
    }

    fn facts(&self, exprs: &[&'a Ref<Expr>]) -> Facts<'a> {
        let (mut facts, mut pending) = (Facts::default(), exprs.to_vec());
        while let Some(expr) = pending.pop() {
            match expr.as_ref() {
                Expr::Var { span, .. } => self.read(span, &mut facts),
                Expr::RefDot { .. } | Expr::RefBrack { .. } => self.selection(expr, &mut facts, &mut pending),
                Expr::Call { params, .. } => pending.extend(params),
                Expr::Array { items, .. } | Expr::Set { items, .. } => pending.extend(items),
                Expr::Object { fields, .. } => pending.extend(fields.iter().flat_map(|(_, key, value)| [key, value])),
                Expr::ArrayCompr { term, query, .. } | Expr::SetCompr { term, query, .. } => {
                    facts.nested.push(Nested { terms: vec![term], query });
                }
                Expr::ObjectCompr { key, value, query, .. } => {
                    facts.nested.push(Nested { terms: vec![key, value], query });
                }
                Expr::UnaryExpr { expr, .. } => pending.push(expr),
                Expr::BinExpr { lhs, rhs, .. }
                | Expr::BoolExpr { lhs, rhs, .. }
                | Expr::ArithExpr { lhs, rhs, .. }
                | Expr::AssignExpr { lhs, rhs, .. } => pending.extend([lhs, rhs]),
                Expr::Membership { key, value, collection, .. } => {
                    pending.extend(key);
                    pending.extend([value, collection]);
                }
                Expr::String { .. }
                | Expr::RawString { .. }
                | Expr::Number { .. }
                | Expr::Bool { .. }
                | Expr::Null { .. } => {}
            }
        }
        facts
    }

    fn selection(&self, expr: &'a Ref<Expr>, facts: &mut Facts<'a>, pending: &mut Vec<&'a Ref<Expr>>) {
        let (mut at, mut values) = (expr, Vec::new());
        while let Expr::RefDot { refr, .. } | Expr::RefBrack { refr, .. } = at.as_ref() {
            if let Expr::RefBrack { index, .. } = at.as_ref() {
                values.push(index);
                pending.push(index);
            }
            at = refr;
        }
        match at.as_ref() {
            Expr::Var { span, .. } => {
                self.read(span, facts);
                facts.selections.push((Some(span).filter(|span| (self.local)(span)), values));
            }
            // What a call gives is not selected from by a variable here.
            Expr::Call { .. } => pending.push(at),
            _ => {
                pending.push(at);
                facts.selections.push((None, values));
            }
        }
    }

    fn read(&self, span: &'a Span, facts: &mut Facts<'a>) {
        if span.text() != "_" && (self.local)(span) {
            facts.reads.push(span);
        }
    }
}

fn name(span: &Span) -> String {
    span.text().to_owned()
}
