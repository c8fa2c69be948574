//! Forms of Rego for which regorus's interpreter and OPA differ and that are not rewritten ([`super::rewrite`]), or which
//! hide a mistake that opens the gate.
//!
//! Arithmetic on what is not a number stays an error in regorus, that is a denial; OPA has undefined.

use std::collections::BTreeSet;

use regorus::unstable::{Expr, Literal, LiteralStmt, Ref, Rule, RuleHead, Span};

use super::builtins::{self, Support};
use super::legacy;
use super::program::{Meaning, Program};
use super::rewrite;
use super::scopes::{self, Problem};
use super::syntax::{Node, ParsedFile, Reference, static_path, walk_rule};
use crate::domain::policy::bundle::Finding;

/// Checks one file.
pub(crate) fn check(file: &ParsedFile<'_>, program: &Program<'_>, data: &dyn Fn(&str) -> bool) -> Vec<Finding> {
    let mut lint =
        Lint { file, program, data, package: file.package_name(), locals: BTreeSet::new(), findings: Vec::new() };
    for rule in &file.module.policy {
        lint.head(rule);
        lint.head_values(rule);
        lint.locals = locals(rule);
        walk_rule(rule, &mut |node| lint.node(node));
        lint.variables(rule);
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
    fn refuse(&mut self, code: &'static str, span: &Span, what: impl Into<String>, fix: &str) {
        self.findings.push(Finding::coded(code, self.file.place(span), what, fix));
    }

    fn head(&mut self, rule: &Rule) {
        let Rule::Spec { span, head, .. } = rule else { return };
        let bracket_only = match head {
            RuleHead::Compr { refr, assign, .. } => assign.is_none() && matches!(refr.as_ref(), Expr::RefBrack { .. }),
            RuleHead::Set { span, .. } => !span.text().contains("contains"),
            RuleHead::Func { .. } => false,
        };
        // A test by cases, as OPA has it since 1.0: an object of what holds, in both engines under Rego v1.
        let cases = self.file.is_test() && rule.span().text().starts_with("test_");
        if bracket_only && !cases {
            self.refuse(
                "profile/map-or-set",
                span,
                "`name[x]` without a value is an object in one engine and a set in another",
                "write `name contains x if { … }`",
            );
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
        // In OPA an import is one of its file. Here it is one of the package, and v0 takes any other name for a variable.
        if self.file.legacy && self.is_imported_elsewhere(reference.root.text()) {
            let what = format!("`{}` is imported in another file of the package", reference.root.text());
            self.refuse("profile/import", reference.root, what, "import it here too, or choose another name");
        }
        match self.program.meaning(&self.package, reference) {
            Meaning::MissingRule(path) => {
                self.refuse(
                    "profile/unknown-rule",
                    reference.root,
                    format!("there is no rule `{path}`"),
                    "correct the name",
                );
            }
            Meaning::Data(Some(name)) if !(self.data)(&name) && !self.file.is_test() => {
                self.refuse(
                    "profile/unknown-document",
                    reference.root,
                    format!("there is no document `data.{name}`"),
                    "correct the name or add the data",
                );
            }
            // regorus takes an unknown name for undefined, and its negation for true.
            Meaning::Other if !self.file.legacy && !self.locals.contains(reference.root.text()) => {
                let what = format!("nothing is called `{}` here", reference.root.text());
                self.refuse(
                    "profile/unknown-name",
                    reference.root,
                    what,
                    "correct the name, or bind it with `:=` or `some … in`",
                );
            }
            _ => {}
        }
    }

    fn is_imported_elsewhere(&self, name: &str) -> bool {
        let package = self.program.packages.get(&self.package);
        let here = self.file.module.imports.iter().any(|import| match &import.r#as {
            Some(alias) => alias.text() == name,
            None => static_path(&import.refr).is_some_and(|path| path.last().is_some_and(|last| last == name)),
        });
        !here && package.is_some_and(|package| package.aliases.contains_key(name) && !package.has_name(name))
    }

    fn call(&mut self, name: &Reference<'_>, args: &[Ref<Expr>]) {
        match self.program.meaning(&self.package, name) {
            Meaning::Rules(rules) => {
                let function = |(package, rule): &(String, String)| {
                    self.program.packages.get(package).and_then(|p| p.rules.get(rule)).is_some_and(|r| r.function)
                };
                if rules.len() != 1 || !rules.iter().all(function) {
                    self.refuse(
                        "profile/not-a-function",
                        name.root,
                        format!("`{}` is not a function", name.names().0.join(".")),
                        "call a function",
                    );
                }
                return;
            }
            Meaning::MissingRule(path) => {
                return self.refuse(
                    "profile/unknown-function",
                    name.root,
                    format!("there is no function `{path}`"),
                    "correct the name",
                );
            }
            Meaning::Input(_) | Meaning::Data(_) => {
                return self.refuse("profile/not-a-function", name.root, "data is not a function", "call a function");
            }
            Meaning::Other => {}
        }
        self.builtin(name, args);
    }

    fn builtin(&mut self, name: &Reference<'_>, args: &[Ref<Expr>]) {
        let called = name.names().0.join(".");
        let Some(builtin) = builtins::find(&called) else {
            let what = format!("there is no function or builtin `{called}`");
            return self.refuse("profile/unknown-builtin", name.root, what, "correct the name, or define the function");
        };
        let in_test = self.file.is_test() && builtins::is_allowed_in_tests(&called);
        let in_v0 = self.file.legacy && legacy::is_withdrawn(&called);
        if let Support::Refused(instead) = builtin.support
            && !in_test
            && !in_v0
        {
            let what = format!("the safe profile does not allow `{called}`");
            return self.refuse("profile/refused-builtin", name.root, what, instead);
        }
        if args.len() != builtin.arguments {
            let what = format!("`{called}` takes {} arguments and gets {}", builtin.arguments, args.len());
            self.refuse("profile/wrong-arity", name.root, what, "give it the arguments that it takes");
        }
    }

    fn binding(&mut self, span: &Span) {
        let name = span.text();
        let package = self.program.packages.get(&self.package);
        let hides = package.is_some_and(|p| p.has_name(name) || p.aliases.contains_key(name));
        if hides || matches!(name, "input" | "data") {
            self.refuse(
                "profile/shadowing",
                span,
                format!("the variable `{name}` hides a rule or an import"),
                "choose another name",
            );
        }
    }

    fn statement(&mut self, stmt: &LiteralStmt) {
        if !stmt.with_mods.is_empty() && !self.file.is_test() {
            self.refuse(
                "profile/with-outside-test",
                &stmt.span,
                "`with` outside of a test changes what the policy is told",
                "pass it as an argument",
            );
        }
        if let Literal::Expr { expr, .. } | Literal::NotExpr { expr, .. } = &stmt.literal
            && !matches!(expr.as_ref(), Expr::Membership { .. })
        {
            self.memberships(expr);
        }
    }

    /// Variables of `some x`, and in Rego v0 those that nothing declares.
    fn variables(&mut self, rule: &Rule) {
        const BIND: &str = "bind it in a statement: `x := …`, `xs[x]` or `some x in xs`";
        let (program, package) = (self.program, self.package.clone());
        let is_variable = |span: &Span| {
            let reference = Reference { root: span, steps: Vec::new() };
            program.meaning(&package, &reference) == Meaning::Other
        };
        for (span, problem) in scopes::check(rule, self.file.legacy, &is_variable) {
            let name = span.text();
            let (what, fix) = match problem {
                Problem::Unbound => (format!("nothing gives the variable `{name}` a value"), BIND),
                Problem::Late => (
                    format!("`{name}` is read here, and gets its value further down"),
                    "move this statement behind the one that binds it",
                ),
                Problem::Shadows => {
                    (format!("there is another variable `{name}` around or inside"), "rename one of them")
                }
            };
            self.refuse("profile/unbound-variable", span, what, fix);
        }
    }

    /// `x in xs` with something missing is undefined in OPA and false in regorus. As a condition both are a no; as a
    /// value, they are not the same.
    fn memberships(&mut self, value: &Ref<Expr>) {
        let mut pending = vec![value];
        while let Some(expr) = pending.pop() {
            match expr.as_ref() {
                Expr::Membership { span, key, value, collection, .. } => {
                    let mut operands = key.iter().chain([value, collection]);
                    if operands.any(|o| rewrite::may_be_undefined(self.program, &self.package, o)) {
                        self.refuse(
                            "profile/membership-value",
                            span,
                            "the value of `… in …` is false where something of it is missing, and undefined in OPA",
                            "make it a condition: `name if … in …`",
                        );
                    }
                }
                Expr::ArrayCompr { term, .. } | Expr::SetCompr { term, .. } => pending.push(term),
                Expr::ObjectCompr { key, value, .. } => pending.extend([key, value]),
                Expr::Array { items, .. } | Expr::Set { items, .. } => pending.extend(items),
                Expr::Object { fields, .. } => pending.extend(fields.iter().flat_map(|(_, k, v)| [k, v])),
                Expr::Call { params, .. } => pending.extend(params),
                Expr::BinExpr { lhs, rhs, .. }
                | Expr::BoolExpr { lhs, rhs, .. }
                | Expr::ArithExpr { lhs, rhs, .. }
                | Expr::AssignExpr { lhs, rhs, .. } => pending.extend([lhs, rhs]),
                _ => {}
            }
        }
    }

    /// The values in a rule's heads.
    fn head_values(&mut self, rule: &Rule) {
        let Rule::Spec { head, bodies, .. } = rule else { return };
        let assigned = match head {
            RuleHead::Compr { assign, .. } | RuleHead::Func { assign, .. } => assign.as_ref(),
            RuleHead::Set { key, .. } => {
                key.iter().for_each(|key| self.memberships(key));
                None
            }
        };
        for assign in assigned.into_iter().chain(bodies.iter().filter_map(|body| body.assign.as_ref())) {
            self.memberships(&assign.value);
        }
    }
}
