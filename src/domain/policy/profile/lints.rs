//! Forms of Rego for which regorus's interpreter and OPA differ, or which hide a mistake that opens the gate.
//!
//! What remains open: a negation over a reference into a *rule's* or a variable's document (`not ground.x in xs`) is
//! true in regorus and undefined in OPA when the member is missing; only references into `input` are refused, because
//! only they are undefined at the caller's wish in every case. Arithmetic on a string stays an error, that is a denial.

use std::collections::BTreeSet;

use regorus::unstable::{Expr, Literal, LiteralStmt, Ref, Rule, RuleHead, Span};

use super::builtins;
use super::program::{Meaning, Program};
use super::syntax::{Node, ParsedFile, Reference, literal_text, walk_expr, walk_rule};
use crate::domain::policy::bundle::Finding;

/// Checks one file.
pub(crate) fn check(file: &ParsedFile<'_>, program: &Program<'_>, data: &dyn Fn(&str) -> bool) -> Vec<Finding> {
    let mut lint =
        Lint { file, program, data, package: file.package_name(), locals: BTreeSet::new(), findings: Vec::new() };
    for rule in &file.module.policy {
        lint.head(rule);
        lint.bodies(rule);
        lint.locals = locals(rule);
        walk_rule(rule, &mut |node| lint.node(node));
    }
    lint.findings
}

fn locals(rule: &Rule) -> BTreeSet<String> {
    let mut names = BTreeSet::from(["_".to_owned()]);
    walk_rule(rule, &mut |node| {
        if let Node::Binding(span) = node {
            names.insert(span.text().to_owned());
        }
    });
    names
}

struct Lint<'a, 't> {
    file: &'a ParsedFile<'t>,
    program: &'a Program<'t>,
    /// Whether the data document has that member.
    data: &'a dyn Fn(&str) -> bool,
    package: String,
    /// The variables of the rule at hand.
    locals: BTreeSet<String>,
    findings: Vec<Finding>,
}

impl Lint<'_, '_> {
    fn refuse(&mut self, span: &Span, what: impl Into<String>, fix: &str) {
        self.findings.push(Finding::new(self.file.place(span), what, fix));
    }

    fn head(&mut self, rule: &Rule) {
        let Rule::Spec { span, head, .. } = rule else { return };
        let bracket_only = match head {
            RuleHead::Compr { refr, assign, .. } => assign.is_none() && matches!(refr.as_ref(), Expr::RefBrack { .. }),
            RuleHead::Set { span, .. } => !span.text().contains("contains"),
            RuleHead::Func { .. } => false,
        };
        if bracket_only {
            self.refuse(
                span,
                "`name[x]` without a value is an object in one engine and a set in another",
                "write `name contains x if { … }`",
            );
        }
    }

    fn bodies(&mut self, rule: &Rule) {
        let Rule::Spec { bodies, .. } = rule else { return };
        if let Some(body) = bodies.iter().skip(1).find(|body| !body.is_else) {
            self.refuse(&body.span, "a second body directly behind the first", "repeat the head, or write `else`");
        }
    }

    fn node(&mut self, node: Node<'_>) {
        match node {
            Node::Reference(reference) => self.reference(&reference),
            Node::Call(name, args) => self.call(&name, args),
            Node::Binding(span) => self.binding(span),
            Node::Statement(stmt) => self.statement(stmt),
        }
    }

    fn reference(&mut self, reference: &Reference<'_>) {
        match self.program.meaning(&self.package, reference) {
            Meaning::MissingRule(path) => {
                self.refuse(reference.root, format!("there is no rule `{path}`"), "correct the name");
            }
            Meaning::Data(Some(name)) if !(self.data)(&name) && !self.file.is_test() => {
                self.refuse(
                    reference.root,
                    format!("there is no document `data.{name}`"),
                    "correct the name or add the data",
                );
            }
            // regorus takes an unknown name for undefined, and its negation for true.
            Meaning::Other if !self.locals.contains(reference.root.text()) => {
                let what = format!("nothing is called `{}` here", reference.root.text());
                self.refuse(reference.root, what, "correct the name, or bind it with `:=` or `some … in`");
            }
            _ => {}
        }
    }

    fn call(&mut self, name: &Reference<'_>, args: &[Ref<Expr>]) {
        const FIX: &str = "use a builtin of the safe profile (`atb policy check` lists them)";
        match self.program.meaning(&self.package, name) {
            Meaning::Rules(rules) => {
                let function = |(package, rule): &(String, String)| {
                    self.program.packages.get(package).and_then(|p| p.rules.get(rule)).is_some_and(|r| r.function)
                };
                if rules.len() != 1 || !rules.iter().all(function) {
                    self.refuse(
                        name.root,
                        format!("`{}` is not a function", name.names().0.join(".")),
                        "call a function",
                    );
                }
                return;
            }
            Meaning::MissingRule(path) => {
                return self.refuse(name.root, format!("there is no function `{path}`"), "correct the name");
            }
            Meaning::Input(_) | Meaning::Data(_) => {
                return self.refuse(name.root, "data is not a function", "call a function");
            }
            Meaning::Other => {}
        }
        let builtin = name.names().0.join(".");
        let allowed =
            if self.file.is_test() { builtins::is_allowed_in_tests(&builtin) } else { builtins::is_allowed(&builtin) };
        if !allowed {
            let what = if builtins::exists(&builtin) {
                "the safe profile does not allow"
            } else {
                "there is no function or builtin"
            };
            return self.refuse(name.root, format!("{what} `{builtin}`"), FIX);
        }
        match builtin.as_str() {
            "replace" => self.replacement(name, args),
            "trim" | "trim_left" | "trim_right" => self.trimming(name, args),
            _ => {}
        }
    }

    /// These compare every character of the text with every character of the set.
    fn trimming(&mut self, name: &Reference<'_>, args: &[Ref<Expr>]) {
        if args.get(1).and_then(literal_text).is_none_or(|text| text.len() > 16) {
            let what = format!("`{}` with a computed set can take long", name.root.text());
            self.refuse(name.root, what, "write the second argument as a literal of at most 16 bytes");
        }
    }

    /// `replace` with an empty or a computed pattern can take seconds, and the execution timer does not reach into it.
    fn replacement(&mut self, name: &Reference<'_>, args: &[Ref<Expr>]) {
        let old = args.get(1).and_then(literal_text).is_some_and(|text| !text.is_empty());
        let new = args.get(2).and_then(literal_text).is_some_and(|text| text.len() <= 8);
        if !old || !new {
            let fix =
                "write the second and third argument as literals, the second not empty, the third at most 8 bytes";
            self.refuse(name.root, "`replace` with a computed pattern can grow without bound", fix);
        }
    }

    fn binding(&mut self, span: &Span) {
        let name = span.text();
        let package = self.program.packages.get(&self.package);
        let hides = package.is_some_and(|p| p.has_name(name) || p.aliases.contains_key(name));
        if hides || matches!(name, "input" | "data") {
            self.refuse(span, format!("the variable `{name}` hides a rule or an import"), "choose another name");
        }
    }

    fn statement(&mut self, stmt: &LiteralStmt) {
        if !stmt.with_mods.is_empty() && !self.file.is_test() {
            self.refuse(
                &stmt.span,
                "`with` outside of a test changes what the policy is told",
                "pass it as an argument",
            );
        }
        match &stmt.literal {
            Literal::SomeVars { span, .. } => {
                self.refuse(span, "`some x` without `in`", "write `some x in xs` or `some i, x in xs`")
            }
            Literal::NotExpr { expr, .. } if !self.file.is_test() => self.negation(expr),
            _ => {}
        }
    }

    /// `not f(input.x)` and `not input.x > 1` hold when `x` is missing; in OPA they are undefined.
    fn negation(&mut self, expr: &Ref<Expr>) {
        if matches!(expr.as_ref(), Expr::Var { .. } | Expr::RefDot { .. } | Expr::RefBrack { .. }) {
            return;
        }
        let mut missing = Vec::new();
        walk_expr(expr, &mut |node| {
            if let Node::Reference(reference) = node
                && self.program.meaning(&self.package, &reference) == Meaning::Input(true)
            {
                missing.push(reference.root);
            }
        });
        for root in missing {
            self.refuse(
                root,
                "a negation that holds when this member of `input` is missing",
                "bind it first: `x := input.…`, then `not …(x)`",
            );
        }
    }
}
