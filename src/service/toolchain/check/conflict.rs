//! Definitions of one rule that can both hold with different values: the engine denies such a question, OPA fails it.
//!
//! Two definitions exclude each other when a condition of one contradicts a condition of the other: another constant
//! for the same expression, the negation, the complementary comparison, or another constant as argument. What cannot
//! be decided so is a warning; where one holds whenever the other does it is an error.

use std::collections::BTreeMap;

use regorus::unstable::{BoolOp, Expr, Literal, LiteralStmt, Ref, Rule, RuleBody, RuleHead, Span};

use super::{Finding, RuleId, Subject};
use crate::domain::policy::profile::program::head;
use crate::domain::policy::profile::syntax::{ParsedFile, reference};

type Source<'a, 't> = (&'a ParsedFile<'t>, &'a Ref<Rule>);

/// Every finding about definitions that meet.
pub(super) fn check(subject: &Subject<'_, '_>) -> Vec<Finding> {
    let mut rules: BTreeMap<(String, String), Vec<Source<'_, '_>>> = BTreeMap::new();
    for file in subject.files {
        for rule in &file.module.policy {
            if let Some(head) = head(rule) {
                rules.entry((file.package_name(), head.path)).or_default().push((file, rule));
            }
        }
    }
    let mut findings = Vec::new();
    for ((_, name), definitions) in &rules {
        findings.extend(defaults(name, definitions));
        findings.extend(duplicates(name, definitions));
        let complete: Vec<Definition<'_, '_>> = definitions.iter().filter_map(|(f, r)| Definition::of(f, r)).collect();
        for (index, second) in complete.iter().enumerate() {
            findings.extend(complete.iter().take(index).find_map(|first| meeting(name, first, second)));
        }
    }
    findings
}

fn defaults(name: &str, definitions: &[Source<'_, '_>]) -> Vec<Finding> {
    let all = definitions.iter().filter_map(|(file, rule)| match rule.as_ref() {
        Rule::Default { span, .. } => Some((file, span)),
        Rule::Spec { .. } => None,
    });
    let again = all.skip(1).map(|(file, span)| {
        let what = format!("`{name}` has a default already");
        Finding::new(RuleId::DuplicateDefault, file.place(span), what, "keep one of them")
    });
    again.collect()
}

fn duplicates(name: &str, definitions: &[Source<'_, '_>]) -> Vec<Finding> {
    let mut seen = BTreeMap::new();
    let mut findings = Vec::new();
    for (file, rule) in definitions.iter().filter(|(_, rule)| matches!(rule.as_ref(), Rule::Spec { .. })) {
        if seen.insert(one_line(rule.span()), ()).is_some() {
            let what = format!("`{name}` is defined so already");
            findings.push(Finding::new(RuleId::DuplicateRule, file.place(rule.span()), what, "keep one of them"));
        }
    }
    findings
}

/// A definition with a constant value.
struct Definition<'a, 't> {
    file: &'a ParsedFile<'t>,
    span: &'a Span,
    value: String,
    args: &'a [Ref<Expr>],
    body: Vec<&'a LiteralStmt>,
}

impl<'a, 't> Definition<'a, 't> {
    fn of(file: &'a ParsedFile<'t>, rule: &'a Ref<Rule>) -> Option<Self> {
        let Rule::Spec { span, head, bodies } = rule.as_ref() else { return None };
        let (refr, args, assign) = match head {
            RuleHead::Compr { refr, assign, .. } => (refr, [].as_slice(), assign),
            RuleHead::Func { refr, args, assign, .. } => (refr, args.as_slice(), assign),
            RuleHead::Set { .. } => return None,
        };
        if reference(refr)?.names().1 {
            return None;
        }
        let value = match assign {
            None => "true".to_owned(),
            Some(assign) => constant(&assign.value)?,
        };
        let body = bodies.first().map(|body: &RuleBody| body.query.stmts.iter().collect()).unwrap_or_default();
        Some(Self { file, span, value, args, body })
    }
}

fn meeting(name: &str, first: &Definition<'_, '_>, second: &Definition<'_, '_>) -> Option<Finding> {
    if first.value == second.value || exclusive(first, second) {
        return None;
    }
    let texts = |of: &Definition<'_, '_>| of.body.iter().map(|stmt| one_line(&stmt.span)).collect::<Vec<_>>();
    let (a, b) = (texts(first), texts(second));
    let implied = a.iter().all(|stmt| b.contains(stmt)) || b.iter().all(|stmt| a.contains(stmt));
    let same_args = first.args.iter().zip(second.args).all(|(a, b)| is_variable(a) && is_variable(b));
    let rule = if implied && same_args { RuleId::ConflictingRules } else { RuleId::PossibleConflict };
    let what =
        format!("`{name}` is `{}` here and `{}` in {}:{}", second.value, first.value, first.file.path, first.span.line);
    Some(Finding::new(
        rule,
        second.file.place(second.span),
        what,
        "join them with `else`, or let one exclude the other",
    ))
}

fn is_variable(expr: &Ref<Expr>) -> bool {
    matches!(expr.as_ref(), Expr::Var { .. })
}

fn exclusive(first: &Definition<'_, '_>, second: &Definition<'_, '_>) -> bool {
    let args = first.args.iter().zip(second.args).any(|(a, b)| differ(constant(a), constant(b)));
    args || first.body.iter().any(|a| second.body.iter().any(|b| contradict(a, b)))
}

fn differ(a: Option<String>, b: Option<String>) -> bool {
    a.zip(b).is_some_and(|(a, b)| a != b)
}

fn contradict(a: &LiteralStmt, b: &LiteralStmt) -> bool {
    match (&a.literal, &b.literal) {
        (Literal::NotExpr { expr: no, .. }, Literal::Expr { expr: yes, .. })
        | (Literal::Expr { expr: yes, .. }, Literal::NotExpr { expr: no, .. }) => {
            one_line(no.span()) == one_line(yes.span())
        }
        (Literal::Expr { expr: a, .. }, Literal::Expr { expr: b, .. }) => compared(a).zip(compared(b)).is_some_and(
            |((ops_a, left_a, right_a, const_a), (ops_b, left_b, right_b, const_b))| {
                left_a == left_b
                    && ((right_a == right_b && opposed(ops_a, ops_b))
                        || (*ops_a == BoolOp::Eq && *ops_b == BoolOp::Eq && const_a && const_b && right_a != right_b))
            },
        ),
        _ => false,
    }
}

type Compared<'a> = (&'a BoolOp, String, String, bool);

fn compared(expr: &Ref<Expr>) -> Option<Compared<'_>> {
    let Expr::BoolExpr { op, lhs, rhs, .. } = expr.as_ref() else { return None };
    Some((op, one_line(lhs.span()), one_line(rhs.span()), constant(rhs).is_some()))
}

fn opposed(a: &BoolOp, b: &BoolOp) -> bool {
    use BoolOp::{Eq, Ge, Gt, Le, Lt, Ne};
    matches!((a, b), (Eq, Ne | Lt | Gt) | (Ne | Lt | Gt, Eq) | (Lt, Ge | Gt) | (Ge | Gt, Lt) | (Le, Gt) | (Gt, Le))
}

fn constant(expr: &Ref<Expr>) -> Option<String> {
    match expr.as_ref() {
        Expr::String { value, .. }
        | Expr::RawString { value, .. }
        | Expr::Number { value, .. }
        | Expr::Bool { value, .. } => Some(value.to_string()),
        Expr::Null { .. } => Some("null".to_owned()),
        _ => None,
    }
}

fn one_line(span: &Span) -> String {
    span.text().split_whitespace().collect::<Vec<_>>().join(" ")
}
