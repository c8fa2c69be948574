//! What nothing reads: rules that neither an entry point nor a test reaches, branches behind one that always holds.

use std::collections::{BTreeMap, BTreeSet};

use regorus::Value;
use regorus::unstable::{Expr, Literal, LiteralStmt, Rule};

use super::super::annotations::{self, Target};
use super::{Finding, RuleId, Subject};
use crate::domain::policy::profile::ENTRY_POINTS;
use crate::domain::policy::profile::program::{Meaning, head};
use crate::domain::policy::profile::syntax::{Node, walk_rule};

type Name = (String, String);

/// Every finding about what is never read.
pub(super) fn check(subject: &Subject<'_, '_>) -> Vec<Finding> {
    let mut findings = constants(subject);
    if subject.whole {
        findings.extend(rules(subject));
    }
    findings
}

fn rules(subject: &Subject<'_, '_>) -> Vec<Finding> {
    let (mut edges, mut pending): (BTreeMap<Name, BTreeSet<Name>>, Vec<Name>) = Default::default();
    for file in subject.files {
        let package = file.package_name();
        let marked: BTreeSet<Target> = annotations::of_file(file)
            .into_iter()
            .filter(annotations::Annotation::is_entrypoint)
            .map(|a| a.target)
            .collect();
        for rule in &file.module.policy {
            let Some(head) = head(rule) else { continue };
            let name = (package.clone(), head.path.clone());
            let asked = ENTRY_POINTS.contains(&format!("{package}.{}", head.path).as_str());
            if asked || file.is_test() || marked.contains(&Target::Rule(head.path)) {
                pending.push(name.clone());
            }
            let targets = edges.entry(name).or_default();
            walk_rule(rule, &mut |node| {
                if let Node::Reference(reference) | Node::Call(reference, _) = node
                    && let Meaning::Rules(rules) = subject.program.meaning(&package, &reference)
                {
                    targets.extend(rules);
                }
            });
        }
    }
    let mut reached = BTreeSet::new();
    while let Some(name) = pending.pop() {
        if reached.insert(name.clone()) {
            pending.extend(edges.get(&name).into_iter().flatten().cloned());
        }
    }
    let unread = edges.keys().filter(|name| !reached.contains(*name));
    let finding = |(package, rule): &Name| {
        let place = subject.program.packages.get(package)?.rules.get(rule)?.place;
        let what = format!("neither an entry point nor a test reads `{package}.{rule}`");
        Some(Finding::new(RuleId::UnreachableRule, place, what, "take it out, read it, or mark it `entrypoint: true`"))
    };
    unread.filter_map(finding).collect()
}

fn constants(subject: &Subject<'_, '_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in subject.files.iter().filter(|file| !file.is_test()) {
        for rule in &file.module.policy {
            // An `else` behind `true` says it; the `true` need not be found as well.
            let mut said = Vec::new();
            if let Rule::Spec { bodies, .. } = rule.as_ref() {
                let always = bodies.iter().position(|body| body.query.stmts.iter().all(is_true));
                let followed = always.filter(|at| at + 1 < bodies.len()).and_then(|at| bodies.get(at));
                said.extend(followed.into_iter().flat_map(|body| &body.query.stmts).map(|stmt| stmt.span.start));
                for body in always.into_iter().flat_map(|at| bodies.iter().skip(at + 1)) {
                    let what = "the body before this `else` always holds";
                    findings.push(Finding::new(RuleId::UnreachableElse, file.place(&body.span), what, "take it out"));
                }
            }
            walk_rule(rule, &mut |node| {
                if let Node::Statement(stmt) = node
                    && let Literal::Expr { expr, .. } | Literal::NotExpr { expr, .. } = &stmt.literal
                    && is_constant(expr)
                    && !said.contains(&stmt.span.start)
                {
                    let what = "a condition that is always the same";
                    findings.push(Finding::new(RuleId::ConstantCondition, file.place(&stmt.span), what, "take it out"));
                }
            });
        }
    }
    findings
}

fn is_true(stmt: &LiteralStmt) -> bool {
    matches!(&stmt.literal, Literal::Expr { expr, .. }
        if matches!(expr.as_ref(), Expr::Bool { value: Value::Bool(true), .. }))
}

fn is_constant(expr: &Expr) -> bool {
    match expr {
        Expr::Bool { .. } | Expr::Null { .. } | Expr::Number { .. } | Expr::String { .. } | Expr::RawString { .. } => {
            true
        }
        Expr::BoolExpr { lhs, rhs, .. } => {
            let plain = |e: &Expr| {
                matches!(e, Expr::Bool { .. } | Expr::Null { .. } | Expr::Number { .. } | Expr::String { .. })
            };
            plain(lhs) && plain(rhs)
        }
        _ => false,
    }
}
