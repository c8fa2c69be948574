//! Variables and imports: unused, hidden, read without a value. As `opa check --strict`, with two rules more.
//!
//! A body, a comprehension and an `every` are a scope each; what a body binds holds in the whole body, whatever the
//! order of its lines, and in the value of its rule.

use std::collections::BTreeMap;

use regorus::unstable::{AssignOp, Expr, Literal, LiteralStmt, Query, Ref, Rule, RuleHead, Span};

use super::{Finding, RuleId, Subject};
use crate::domain::policy::profile::program::Package;
use crate::domain::policy::profile::syntax::{Node, ParsedFile, static_path, walk_rule};

/// Every finding about variables and imports.
pub(super) fn check(subject: &Subject<'_, '_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in subject.files {
        let package = subject.program.packages.get(&file.package_name());
        for rule in &file.module.policy {
            let mut scopes = Scopes { file, package, frames: Vec::new(), findings: Vec::new() };
            scopes.rule(rule);
            findings.extend(scopes.findings);
        }
        findings.extend(imports(file));
    }
    findings
}

fn imports(file: &ParsedFile<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut seen: BTreeMap<String, ()> = BTreeMap::new();
    for import in &file.module.imports {
        let Some(path) = static_path(&import.refr) else { continue };
        if path.first().is_some_and(|root| matches!(root.as_str(), "rego" | "future")) {
            continue;
        }
        let alias = import.r#as.as_ref().map(|span| span.text().to_owned()).or_else(|| path.last().cloned());
        let (alias, place) = (alias.unwrap_or_default(), file.place(&import.span));
        if seen.insert(alias.clone(), ()).is_some() {
            let what = format!("`{alias}` is imported twice");
            findings.push(Finding::new(RuleId::DuplicateImport, place, what, "keep one of them"));
        }
        let reads = |rule: &Ref<Rule>| {
            let mut found = false;
            walk_rule(rule, &mut |node| {
                if let Node::Reference(reference) | Node::Call(reference, _) = node {
                    found |= reference.root.text() == alias;
                }
            });
            found
        };
        if !file.module.policy.iter().any(reads) {
            let what = format!("nothing reads the import `{alias}`");
            findings.push(Finding::new(RuleId::UnusedImport, place, what, "take it out"));
        }
    }
    findings
}

struct Binding<'a> {
    span: &'a Span,
    used: bool,
    rule: RuleId,
}

struct Scopes<'a, 't> {
    file: &'a ParsedFile<'t>,
    package: Option<&'a Package<'t>>,
    frames: Vec<BTreeMap<String, Binding<'a>>>,
    findings: Vec<Finding>,
}

impl<'a> Scopes<'a, '_> {
    fn rule(&mut self, rule: &'a Rule) {
        let Rule::Spec { head, bodies, .. } = rule else { return };
        self.frames.push(BTreeMap::new());
        let (keys, value): (Vec<&Ref<Expr>>, Option<&Ref<Expr>>) = match head {
            RuleHead::Compr { refr, assign, .. } => (keys(refr), assign.as_ref().map(|a| &a.value)),
            RuleHead::Set { key, .. } => (key.iter().collect(), None),
            RuleHead::Func { args, assign, .. } => {
                args.iter().for_each(|arg| self.pattern(arg, RuleId::UnusedArgument));
                (Vec::new(), assign.as_ref().map(|a| &a.value))
            }
        };
        let of_head: Vec<&Ref<Expr>> = keys.into_iter().chain(value).collect();
        if bodies.is_empty() {
            of_head.iter().for_each(|expr| self.read(expr));
        }
        for (index, body) in bodies.iter().enumerate() {
            let mut values: Vec<&Ref<Expr>> = body.assign.iter().map(|a| &a.value).collect();
            if index == 0 || !body.is_else {
                values.extend(&of_head);
            }
            self.query(&body.query, &values);
        }
        self.close();
    }

    fn query(&mut self, query: &'a Ref<Query>, values: &[&'a Ref<Expr>]) {
        self.frames.push(BTreeMap::new());
        query.stmts.iter().for_each(|stmt| self.declare(stmt));
        query.stmts.iter().for_each(|stmt| self.statement(stmt));
        values.iter().for_each(|value| self.read(value));
        self.close();
    }

    fn declare(&mut self, stmt: &'a LiteralStmt) {
        match &stmt.literal {
            Literal::SomeVars { vars, .. } => vars.iter().for_each(|var| self.bind(var, RuleId::UnusedVariable)),
            Literal::SomeIn { key, value, .. } => {
                key.iter().chain([value]).for_each(|pattern| self.pattern(pattern, RuleId::UnusedVariable));
            }
            Literal::Expr { expr, .. } => match expr.as_ref() {
                Expr::AssignExpr { op: AssignOp::ColEq, lhs, .. } => self.pattern(lhs, RuleId::UnusedVariable),
                Expr::AssignExpr { op: AssignOp::Eq, lhs, rhs, .. } => {
                    for side in [lhs, rhs] {
                        if let Expr::Var { span, .. } = side.as_ref()
                            && !self.is_known(span.text())
                        {
                            self.bind(span, RuleId::UnusedVariable);
                        }
                    }
                }
                _ => {}
            },
            Literal::NotExpr { .. } | Literal::Every { .. } => {}
        }
    }

    fn statement(&mut self, stmt: &'a LiteralStmt) {
        stmt.with_mods.iter().for_each(|with| self.read(&with.r#as));
        match &stmt.literal {
            Literal::SomeVars { .. } => {}
            Literal::SomeIn { collection, .. } => self.read(collection),
            Literal::NotExpr { expr, .. } => self.read(expr),
            Literal::Every { key, value, domain, query, .. } => {
                self.read(domain);
                self.frames.push(BTreeMap::new());
                key.iter().chain([value]).for_each(|var| self.bind(var, RuleId::UnusedVariable));
                self.query(query, &[]);
                self.close();
            }
            Literal::Expr { expr, .. } => match expr.as_ref() {
                Expr::AssignExpr { op: AssignOp::ColEq, rhs, .. } => self.read(rhs),
                _ => self.read(expr),
            },
        }
    }

    /// Reads every name of an expression; a comprehension is a scope of its own.
    fn read(&mut self, expr: &'a Ref<Expr>) {
        let mut pending = vec![expr];
        while let Some(expr) = pending.pop() {
            match expr.as_ref() {
                Expr::Var { span, .. } => self.use_name(span),
                Expr::Array { items, .. } | Expr::Set { items, .. } => pending.extend(items),
                Expr::Object { fields, .. } => pending.extend(fields.iter().flat_map(|(_, key, value)| [key, value])),
                Expr::ArrayCompr { term, query, .. } | Expr::SetCompr { term, query, .. } => self.query(query, &[term]),
                Expr::ObjectCompr { key, value, query, .. } => self.query(query, &[key, value]),
                Expr::Call { fcn, params, .. } => {
                    self.use_function(fcn);
                    pending.extend(params);
                }
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

    /// A function's name is no variable, but an import may lead to it.
    fn use_function(&mut self, name: &'a Ref<Expr>) {
        let mut at = name;
        while let Expr::RefDot { refr, .. } | Expr::RefBrack { refr, .. } = at.as_ref() {
            at = refr;
        }
        if let Expr::Var { span, .. } = at.as_ref() {
            self.mark(span.text());
        }
    }

    fn use_name(&mut self, span: &'a Span) {
        let name = span.text();
        // What binds a variable that Rego v0 does not declare, the safe profile says.
        if name == "_" || self.mark(name) || self.is_known(name) || self.file.legacy {
            return;
        }
        let what = format!("`{name}` has no value here");
        self.find(RuleId::UnsafeVariable, span, what, "bind it in this body with `:=` or `some … in`");
    }

    fn mark(&mut self, name: &str) -> bool {
        let found = self.frames.iter_mut().rev().find_map(|frame| frame.get_mut(name));
        found.is_some_and(|binding| {
            binding.used = true;
            true
        })
    }

    fn is_known(&self, name: &str) -> bool {
        matches!(name, "input" | "data")
            || self.frames.iter().any(|frame| frame.contains_key(name))
            || self.package.is_some_and(|p| p.has_name(name) || p.aliases.contains_key(name))
    }

    fn pattern(&mut self, pattern: &'a Ref<Expr>, rule: RuleId) {
        let mut pending = vec![pattern];
        while let Some(expr) = pending.pop() {
            match expr.as_ref() {
                Expr::Var { span, .. } => self.bind(span, rule),
                Expr::Array { items, .. } => pending.extend(items),
                Expr::Object { fields, .. } => pending.extend(fields.iter().map(|(_, _, value)| value)),
                _ => {}
            }
        }
    }

    fn bind(&mut self, span: &'a Span, rule: RuleId) {
        let name = span.text();
        if name == "_" {
            return;
        }
        let outer = self.frames.iter().rev().skip(1).any(|frame| frame.contains_key(name));
        if outer {
            let what = format!("`{name}` hides the variable of that name around it");
            self.find(RuleId::ShadowedVariable, span, what, "choose another name");
        }
        if let Some(frame) = self.frames.last_mut() {
            frame.entry(name.to_owned()).or_insert(Binding { span, used: false, rule });
        }
    }

    fn close(&mut self) {
        for (name, Binding { span, used, rule }) in self.frames.pop().unwrap_or_default() {
            if !used {
                self.find(rule, span, format!("nothing reads `{name}`"), "take it out, or write `_`");
            }
        }
    }

    fn find(&mut self, rule: RuleId, span: &Span, what: String, fix: &str) {
        self.findings.push(Finding::new(rule, self.file.place(span), what, fix));
    }
}

/// What is computed in the head of a rule: `x` in `name[x] := …`.
fn keys(head: &Ref<Expr>) -> Vec<&Ref<Expr>> {
    let (mut at, mut keys) = (head, Vec::new());
    while let Expr::RefDot { refr, .. } | Expr::RefBrack { refr, .. } = at.as_ref() {
        if let Expr::RefBrack { index, .. } = at.as_ref() {
            keys.push(index);
        }
        at = refr;
    }
    keys
}
