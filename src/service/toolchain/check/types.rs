//! Types, from the schemas of input and data to every expression that is built from them.
//!
//! Local values are followed through `:=`, `some … in` and rules that are one value; arguments of functions are
//! anything. Only what cannot be is a finding: a member that no form of the value has, an equality of types without a
//! common one. An order across types (`null < x`) is a way to ask for a type and stays.

use std::collections::BTreeMap;

use regorus::unstable::{ArithOp, AssignOp, BoolOp, Expr, Literal, Query, Ref, Rule, RuleHead, Span};

use super::schema::{ANY, ARRAY, BOOLEAN, Kinds, Member, NULL, NUMBER, OBJECT, SET, STRING, Shape, names};
use super::signatures::SIGNATURES;
use super::{Finding, RuleId, Subject};
use crate::domain::policy::profile::program::{Meaning, head};
use crate::domain::policy::profile::syntax::{ParsedFile, literal_text, reference};

/// Deeper expressions are anything.
const MAX_DEPTH: usize = 64;

type Env<'a> = BTreeMap<String, Shape<'a>>;
type Name = (String, String);
type Definition<'a, 't> = (&'a ParsedFile<'t>, &'a Ref<Rule>);

/// Every finding about types. Tests replace documents by `with`, so only what decides is looked at.
pub(super) fn check(subject: &Subject<'_, '_>) -> Vec<Finding> {
    let mut rules: BTreeMap<Name, Vec<Definition<'_, '_>>> = BTreeMap::new();
    for file in subject.files.iter().filter(|file| !file.is_test()) {
        for rule in &file.module.policy {
            if let Some(head) = head(rule) {
                rules.entry((file.package_name(), head.path)).or_default().push((file, rule));
            }
        }
    }
    let mut typing = Typing { subject, rules: &rules, known: BTreeMap::new(), findings: None, file: None, depth: 0 };
    for definitions in rules.values() {
        for (file, rule) in definitions {
            typing.file = Some(file);
            typing.findings.get_or_insert_default();
            typing.rule(rule);
        }
    }
    typing.findings.unwrap_or_default()
}

struct Typing<'a, 't, 'r> {
    subject: &'r Subject<'a, 't>,
    rules: &'r BTreeMap<Name, Vec<Definition<'a, 't>>>,
    /// None while it is looked at.
    known: BTreeMap<Name, Option<Shape<'a>>>,
    /// None where only a type is asked for.
    findings: Option<Vec<Finding>>,
    file: Option<&'a ParsedFile<'t>>,
    depth: usize,
}

impl<'a, 't> Typing<'a, 't, '_> {
    /// The values of one definition together.
    fn rule(&mut self, rule: &'a Ref<Rule>) -> Shape<'a> {
        match rule.as_ref() {
            Rule::Default { value, .. } => self.infer(value, &Env::new()),
            Rule::Spec { head, bodies, .. } => {
                let (value, implied) = match head {
                    RuleHead::Compr { assign, .. } | RuleHead::Func { assign, .. } => {
                        (assign.as_ref().map(|a| &a.value), BOOLEAN)
                    }
                    RuleHead::Set { key, .. } => (key.as_ref(), SET),
                };
                let is_set = matches!(head, RuleHead::Set { .. });
                let mut env = Env::new();
                let mut shape: Option<Shape<'a>> = None;
                for (index, body) in bodies.iter().enumerate() {
                    env = Env::new();
                    self.query(&body.query, &mut env);
                    let own = body.assign.as_ref().map(|a| &a.value).or(value.filter(|_| index == 0 || !body.is_else));
                    let one = own.map_or(Shape::of(BOOLEAN), |value| self.infer(value, &env));
                    shape = Some(shape.map_or_else(|| one.clone(), |before| before.or(one.clone())));
                }
                if bodies.is_empty() {
                    shape = value.map(|value| self.infer(value, &env));
                }
                if is_set { Shape::of(SET) } else { shape.unwrap_or(Shape::of(implied)) }
            }
        }
    }

    fn query(&mut self, query: &'a Ref<Query>, env: &mut Env<'a>) {
        for stmt in &query.stmts {
            match &stmt.literal {
                Literal::SomeVars { .. } => {}
                Literal::SomeIn { key, value, collection, .. } => {
                    let of = self.infer(collection, env);
                    self.bind_each(key.as_ref().and_then(variable), variable(value), &of, env);
                }
                Literal::Every { key, value, domain, query, .. } => {
                    let of = self.infer(domain, env);
                    let mut inner = env.clone();
                    let name = |span: &Span| span.text().to_owned();
                    self.bind_each(key.as_ref().map(name), Some(name(value)), &of, &mut inner);
                    self.query(query, &mut inner);
                }
                Literal::NotExpr { expr, .. } => drop(self.infer(expr, env)),
                Literal::Expr { expr, .. } => match expr.as_ref() {
                    Expr::AssignExpr { op: AssignOp::ColEq, lhs, rhs, .. } => {
                        let shape = self.infer(rhs, env);
                        if let Some(name) = variable(lhs) {
                            env.insert(name, shape);
                        }
                    }
                    _ => drop(self.infer(expr, env)),
                },
            }
        }
    }

    fn bind_each(&mut self, key: Option<String>, value: Option<String>, of: &Shape<'a>, env: &mut Env<'a>) {
        let keys = match of.kinds {
            ARRAY => NUMBER,
            OBJECT => STRING,
            _ => ANY,
        };
        if let Some(key) = key {
            env.insert(key, Shape::of(keys));
        }
        if let (Some(value), Member::Found(shape)) = (value, of.member(None)) {
            env.insert(value, shape);
        }
    }

    fn infer(&mut self, expr: &'a Ref<Expr>, env: &Env<'a>) -> Shape<'a> {
        self.depth += 1;
        let shape = if self.depth > MAX_DEPTH { Shape::any() } else { self.infer_here(expr, env) };
        self.depth -= 1;
        shape
    }

    fn infer_here(&mut self, expr: &'a Ref<Expr>, env: &Env<'a>) -> Shape<'a> {
        let each = |typing: &mut Self, items: &'a [Ref<Expr>]| {
            items.iter().for_each(|item| drop(typing.infer(item, env)));
        };
        match expr.as_ref() {
            Expr::String { .. } | Expr::RawString { .. } => Shape::of(STRING),
            Expr::Number { .. } => Shape::of(NUMBER),
            Expr::Bool { .. } => Shape::of(BOOLEAN),
            Expr::Null { .. } => Shape::of(NULL),
            Expr::Array { items, .. } => {
                each(self, items);
                Shape::of(ARRAY)
            }
            Expr::Set { items, .. } => {
                each(self, items);
                Shape::of(SET)
            }
            Expr::Object { fields, .. } => {
                for (_, key, value) in fields {
                    self.infer(key, env);
                    self.infer(value, env);
                }
                Shape::of(OBJECT)
            }
            Expr::ArrayCompr { term, query, .. } => self.comprehension(ARRAY, &[term], query, env),
            Expr::SetCompr { term, query, .. } => self.comprehension(SET, &[term], query, env),
            Expr::ObjectCompr { key, value, query, .. } => self.comprehension(OBJECT, &[key, value], query, env),
            Expr::Call { fcn, params, .. } => self.call(fcn, params, env),
            Expr::UnaryExpr { expr, .. } => {
                self.infer(expr, env);
                Shape::of(NUMBER)
            }
            Expr::Var { .. } | Expr::RefDot { .. } | Expr::RefBrack { .. } => self.selection(expr, env),
            Expr::BinExpr { lhs, rhs, .. } => {
                self.infer(lhs, env);
                self.infer(rhs, env);
                Shape::of(SET)
            }
            Expr::ArithExpr { op, lhs, rhs, .. } => {
                let kinds = self.infer(lhs, env).kinds;
                self.infer(rhs, env);
                let sets = matches!(op, ArithOp::Sub) && kinds & SET != 0;
                Shape::of(if sets { NUMBER | SET } else { NUMBER })
            }
            Expr::BoolExpr { op, lhs, rhs, .. } => {
                self.comparison(op, lhs, rhs, env);
                Shape::of(BOOLEAN)
            }
            Expr::AssignExpr { lhs, rhs, .. } => {
                self.comparison(&BoolOp::Eq, lhs, rhs, env);
                Shape::of(BOOLEAN)
            }
            Expr::Membership { key, value, collection, .. } => {
                key.iter().for_each(|key| drop(self.infer(key, env)));
                self.infer(value, env);
                let of = self.infer(collection, env);
                if of.kinds & (ARRAY | SET | OBJECT) == 0 {
                    let what = format!("nothing is in {}", names(of.kinds));
                    self.find(RuleId::TypeMismatch, collection.span(), what, "look in an array, a set or an object");
                }
                Shape::of(BOOLEAN)
            }
        }
    }

    fn comprehension(
        &mut self,
        kinds: Kinds,
        terms: &[&'a Ref<Expr>],
        query: &'a Ref<Query>,
        env: &Env<'a>,
    ) -> Shape<'a> {
        let mut inner = env.clone();
        self.query(query, &mut inner);
        terms.iter().for_each(|term| drop(self.infer(term, &inner)));
        Shape::of(kinds)
    }

    fn comparison(&mut self, op: &BoolOp, lhs: &'a Ref<Expr>, rhs: &'a Ref<Expr>, env: &Env<'a>) {
        let (left, right) = (self.infer(lhs, env), self.infer(rhs, env));
        if !matches!(op, BoolOp::Eq | BoolOp::Ne) {
            return;
        }
        // `x != null` is a way to ask whether there is an x, and stays.
        if matches!(op, BoolOp::Eq) && left.kinds & right.kinds == 0 {
            let what = format!("{} and {} are never equal", names(left.kinds), names(right.kinds));
            self.find(RuleId::TypeMismatch, lhs.span(), what, "compare values of one type");
            return;
        }
        for (shape, other) in [(&left, rhs), (&right, lhs)] {
            if let (Some(texts), Some(text)) = (shape.texts(), literal_text(other))
                && !texts.contains(&text.as_str())
            {
                let what = format!("`{text}` is not one of {}", texts.join(", "));
                self.find(RuleId::ImpossibleValue, other.span(), what, "correct the text");
            }
        }
    }

    fn call(&mut self, name: &'a Ref<Expr>, params: &'a [Ref<Expr>], env: &Env<'a>) -> Shape<'a> {
        let given: Vec<Shape<'a>> = params.iter().map(|param| self.infer(param, env)).collect();
        let Some((file, called)) = self.file.zip(reference(name)) else { return Shape::any() };
        if self.subject.program.meaning(&file.package_name(), &called) != Meaning::Other {
            return Shape::any();
        }
        let called = called.names().0.join(".");
        let Some((_, takes, gives)) = SIGNATURES.iter().find(|(name, ..)| *name == called) else { return Shape::any() };
        for ((takes, given), param) in takes.iter().zip(&given).zip(params) {
            if takes & given.kinds == 0 {
                let what = format!("`{called}` takes {}, not {}", names(*takes), names(given.kinds));
                self.find(RuleId::WrongArgumentType, param.span(), what, "correct the argument");
            }
        }
        Shape::of(*gives)
    }

    /// A name and what is selected from it.
    fn selection(&mut self, expr: &'a Ref<Expr>, env: &Env<'a>) -> Shape<'a> {
        let (mut at, mut steps) = (expr, Vec::new());
        loop {
            match at.as_ref() {
                Expr::RefDot { refr, field, .. } => {
                    steps.push((Some(field.0.text().to_owned()), &field.0));
                    at = refr;
                }
                Expr::RefBrack { refr, index, .. } => {
                    self.infer(index, env);
                    steps.push((literal_text(index), index.span()));
                    at = refr;
                }
                _ => break,
            }
        }
        steps.reverse();
        let Expr::Var { span, .. } = at.as_ref() else {
            self.infer(at, env);
            return Shape::any();
        };
        let (mut shape, from) = self.root(span.text(), &steps, env);
        for (name, place) in steps.iter().skip(from) {
            match shape.member(name.as_deref()) {
                Member::Found(found) => shape = found,
                Member::Missing => {
                    let name = name.as_deref().unwrap_or("…");
                    let what = if shape.kinds & (ARRAY | SET | OBJECT) == 0 {
                        format!("{} has no member `{name}`", names(shape.kinds))
                    } else {
                        format!("there is no member `{name}` here")
                    };
                    let unknown = if shape.of_input { RuleId::UnknownInputMember } else { RuleId::UnknownDataMember };
                    self.find(unknown, place, what, "correct the name, or add it to the schema first");
                    return Shape::any();
                }
            }
        }
        shape
    }

    /// What a name stands for, and after how many steps.
    fn root(&mut self, name: &str, steps: &[(Option<String>, &'a Span)], env: &Env<'a>) -> (Shape<'a>, usize) {
        if let Some(shape) = env.get(name) {
            return (shape.clone(), 0);
        }
        let Some(file) = self.file else { return (Shape::any(), 0) };
        let home = self.subject.program.packages.get(&file.package_name());
        if home.is_some_and(|package| package.has_name(name)) {
            let (shape, length) = self.rule_at(&file.package_name(), name, steps);
            return (shape, length);
        }
        let alias = home.and_then(|package| package.aliases.get(name));
        let target = alias.map(Vec::as_slice);
        let head: Vec<String> = target.map_or_else(|| vec![name.to_owned()], <[String]>::to_vec);
        let whole: Vec<Option<String>> =
            head.iter().skip(1).cloned().map(Some).chain(steps.iter().map(|(name, _)| name.clone())).collect();
        match head.first().map(String::as_str) {
            Some("input") => {
                let mut shape = Shape::input();
                for name in head.iter().skip(1) {
                    let Member::Found(found) = shape.member(Some(name)) else {
                        return (Shape::any(), 0);
                    };
                    shape = found;
                }
                (shape, 0)
            }
            Some("data") => self.document(&whole, head.len() - 1),
            _ => (Shape::any(), 0),
        }
    }

    fn document(&mut self, path: &[Option<String>], from_alias: usize) -> (Shape<'a>, usize) {
        let unknown = (Shape::any(), path.len() - from_alias.min(path.len()));
        let Some(Some(first)) = path.first() else { return unknown };
        let is_package = |name: &String| name == first || name.starts_with(&format!("{first}."));
        if self.subject.program.packages.keys().any(is_package) || from_alias > 1 {
            return unknown;
        }
        let data = self.subject.data.and_then(|data| data.get(first));
        (Shape::document(first, data), 1 - from_alias.min(1))
    }

    /// The rule that a path leads to, and how many steps that takes.
    fn rule_at(&mut self, package: &str, name: &str, steps: &[(Option<String>, &'a Span)]) -> (Shape<'a>, usize) {
        let mut path = name.to_owned();
        for taken in 0..=steps.len() {
            if self.rules.contains_key(&(package.to_owned(), path.clone())) {
                return (self.value_of((package.to_owned(), path)), taken);
            }
            let Some((Some(next), _)) = steps.get(taken) else { break };
            path = format!("{path}.{next}");
        }
        (Shape::any(), steps.len())
    }

    fn value_of(&mut self, name: Name) -> Shape<'a> {
        if let Some(known) = self.known.get(&name) {
            return known.clone().unwrap_or_else(Shape::any);
        }
        self.known.insert(name.clone(), None);
        let definitions = self.rules.get(&name).cloned().unwrap_or_default();
        let (file, findings, depth) = (self.file, self.findings.take(), std::mem::take(&mut self.depth));
        let mut shape: Option<Shape<'a>> = None;
        let mut plain = true;
        for (file, rule) in definitions {
            plain &= match rule.as_ref() {
                Rule::Spec { head: RuleHead::Compr { refr, .. }, .. } => reference(refr).is_some_and(|r| !r.names().1),
                Rule::Spec { head: RuleHead::Set { .. }, .. } | Rule::Default { .. } => true,
                Rule::Spec { head: RuleHead::Func { .. }, .. } => false,
            };
            self.file = Some(file);
            let one = self.rule(rule);
            shape = Some(shape.map_or_else(|| one.clone(), |before| before.or(one.clone())));
        }
        (self.file, self.findings, self.depth) = (file, findings, depth);
        let shape = shape.filter(|_| plain).unwrap_or_else(Shape::any);
        self.known.insert(name, Some(shape.clone()));
        shape
    }

    fn find(&mut self, rule: RuleId, span: &Span, what: String, fix: &str) {
        if let (Some(findings), Some(file)) = (self.findings.as_mut(), self.file) {
            findings.push(Finding::new(rule, file.place(span), what, fix));
        }
    }
}

fn variable(pattern: &Ref<Expr>) -> Option<String> {
    match pattern.as_ref() {
        Expr::Var { span, .. } => Some(span.text().to_owned()),
        _ => None,
    }
}
