//! Modules of Rego v0, put as Rego v1 that means the same.
//!
//! What differs is the form of heads and bodies: v1 has `if` before a body, `contains` for a member of a set, and no
//! definition without a value or a body. The rest of v0 is either v1 as well or has no counterpart there, and then
//! the parser or the profile refuses it behind this. A module that imports `rego.v1` is v1 already. Each change is
//! listed with what the author wrote and what it became, for `atb policy check`.
//!
//! The withdrawn builtins of v0 are not rewritten: extensions answer them ([`WITHDRAWN`]), in modules of v0 alone.

use regorus::Source;
use regorus::unstable::{Expr, Module, Parser, Ref, Rule, RuleBody, RuleHead};

use super::edits::{Edit, Shifts, apply};
use super::syntax::{Node, static_path, walk_rule};

/// The version of the language that a module is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RegoVersion {
    /// Without `if` and `contains`, unless they are imported.
    V0,
    /// OPA 1's.
    #[default]
    V1,
}

/// What OPA 1 has withdrawn and modules of v0 may call, each with what v1 says for it.
pub(crate) const WITHDRAWN: [(&str, &str); 11] = [
    ("all", "every x in xs { x == true }"),
    ("any", "true in xs"),
    ("cast_array", "[x | some x in xs]"),
    ("cast_boolean", "is_boolean(x)"),
    ("cast_null", "is_null(x)"),
    ("cast_object", "is_object(x)"),
    ("cast_set", "{x | some x in xs}"),
    ("cast_string", "is_string(x)"),
    ("net.cidr_overlap", "net.cidr_contains(a, b)"),
    ("re_match", "regex.match(pattern, text)"),
    ("set_diff", "a - b"),
];

/// Whether modules of v0, and no others, may call it.
pub(crate) fn is_withdrawn(name: &str) -> bool {
    WITHDRAWN.iter().any(|(withdrawn, _)| *withdrawn == name)
}

/// Something of v0 in a module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Departure {
    /// Where, in the text as it is parsed.
    pub(crate) offset: usize,
    /// What it is, as the author wrote it.
    pub(crate) what: String,
    /// How v1 says it.
    pub(crate) instead: String,
}

/// A module of v0 in the form of v1.
pub(super) struct Modern {
    pub(super) text: String,
    pub(super) shifts: Shifts,
    /// Their places are those in the text before.
    pub(super) departures: Vec<Departure>,
    /// Whether it is a module of v0 still: what v0 allows, it may do.
    pub(super) legacy: bool,
}

/// Rewrites a laid-out module of v0.
///
/// # Errors
/// regorus's report, where it is not Rego v0.
pub(super) fn modernize(path: &str, text: &str) -> Result<Modern, String> {
    let source = Source::from_contents(path.to_owned(), text.to_owned()).map_err(|e| e.to_string())?;
    let mut parser = Parser::new(&source).map_err(|e| e.to_string())?;
    let module = parser.parse().map_err(|e| e.to_string())?;
    let mut changes = Changes { text, edits: Vec::new(), departures: Vec::new() };
    let legacy = !imports_v1(&module);
    if legacy {
        for rule in &module.policy {
            changes.rule(rule);
        }
    }
    let mut out = text.to_owned();
    let shifts = apply(&mut out, changes.edits);
    Ok(Modern { text: out, shifts, departures: changes.departures, legacy })
}

fn imports_v1(module: &Module) -> bool {
    let names = |refr| static_path(refr).unwrap_or_default();
    module.imports.iter().any(|import| names(&import.refr) == ["rego", "v1"])
}

struct Changes<'t> {
    text: &'t str,
    edits: Vec<Edit>,
    departures: Vec<Departure>,
}

impl Changes<'_> {
    fn rule(&mut self, rule: &Rule) {
        let Rule::Spec { head, bodies, .. } = rule else { return };
        let start = at(rule.span().start);
        let before = self.edits.len();
        match head {
            RuleHead::Set { refr, key, span } => self.set(refr, key.is_some(), at(span.end)),
            RuleHead::Compr { refr, assign: None, span } if !matches!(refr.as_ref(), Expr::Var { .. }) => {
                self.fact(bodies, at(span.end));
            }
            RuleHead::Func { assign: None, span, .. } => self.fact(bodies, at(span.end)),
            _ => {}
        }
        bodies.iter().for_each(|body| self.body(body));
        self.note(start, before);
        walk_rule(rule, &mut |node| {
            if let Node::Call(name, _) = node
                && let called = name.names().0.join(".")
                && let Some((_, instead)) = WITHDRAWN.iter().find(|(withdrawn, _)| *withdrawn == called)
            {
                let what = format!("`{called}` is withdrawn in OPA 1");
                self.departures.push(Departure { offset: at(name.root.start), what, instead: format!("`{instead}`") });
            }
        });
    }

    /// `p[x]`, or `p.x` for `p["x"]`, is a member of a set.
    fn set(&mut self, refr: &Ref<Expr>, key: bool, end: usize) {
        if key {
            let open = at(refr.span().end);
            let Some(inner) = self.text.get(open..end).and_then(|t| t.strip_prefix('[')?.strip_suffix(']')) else {
                return;
            };
            let close = open + 1 + inner.len();
            self.replace(open, open + 1, " contains ");
            self.replace(close, close + 1, "");
        } else if let Expr::RefDot { refr, field, .. } = refr.as_ref() {
            self.replace(at(refr.span().end), end, &format!(" contains \"{}\"", field.0.text()));
        }
    }

    /// A definition with neither a value nor a body has the value true.
    fn fact(&mut self, bodies: &[RuleBody], end: usize) {
        if bodies.is_empty() {
            self.replace(end, end, " := true");
        }
    }

    fn body(&mut self, body: &RuleBody) {
        let start = at(body.span.start);
        let from = match &body.assign {
            _ if !body.is_else => start,
            None => start + "else".len(),
            Some(assign) => at(assign.span.end),
        };
        // The end of a text is before its quote.
        let rest = self.text.get(from..).unwrap_or_default();
        let from = if rest.starts_with(['"', '`']) { from + 1 } else { from };
        if let Some(brace) = self.first_brace(from) {
            let apart = self.text.get(..brace).is_some_and(|before| before.ends_with(char::is_whitespace));
            self.replace(brace, brace, if apart { "if " } else { " if " });
        }
    }

    /// The place of a brace, if nothing but blanks and comments stands before it.
    fn first_brace(&self, from: usize) -> Option<usize> {
        let mut at = from;
        loop {
            let rest = self.text.get(at..)?;
            match rest.chars().next()? {
                '{' => return Some(at),
                '#' => at += rest.find('\n')?,
                c if c.is_whitespace() => at += c.len_utf8(),
                _ => return None,
            }
        }
    }

    fn replace(&mut self, start: usize, end: usize, text: &str) {
        self.edits.push(Edit { start, end, text: text.to_owned() });
    }

    /// Says of a rule what became of its first line.
    fn note(&mut self, start: usize, before: usize) {
        let Some(first) = self.edits.get(before).map(|edit| edit.start) else { return };
        let from =
            if self.text.get(start..first).is_some_and(|t| !t.contains('\n')) { start } else { line(self.text, first) };
        let end = self.text.get(from..).and_then(|t| t.find('\n')).map_or(self.text.len(), |n| from + n);
        let Some(written) = self.text.get(from..end) else { return };
        let mut became = written.to_owned();
        let edits = self.edits.get(before..).unwrap_or_default().iter().filter(|e| e.start >= from && e.end <= end);
        let edits = edits.map(|e| Edit { start: e.start - from, end: e.end - from, text: e.text.clone() });
        apply(&mut became, edits.collect());
        let shown = |text: &str| text.trim().chars().take(120).collect::<String>();
        let what = format!("Rego v0: `{}`", shown(written));
        self.departures.push(Departure { offset: from, what, instead: format!("`{}`", shown(&became)) });
    }
}

/// Where the line begins that `offset` is in.
fn line(text: &str, offset: usize) -> usize {
    text.get(..offset).and_then(|t| t.rfind('\n')).map_or(0, |at| at + 1)
}

fn at(offset: u32) -> usize {
    usize::try_from(offset).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn modern(text: &str) -> String {
        modernize("a.rego", &format!("package t\n{text}")).unwrap().text.split_once('\n').unwrap().1.to_owned()
    }

    #[test]
    fn every_form_of_v0_has_its_form_in_v1() {
        for (v0, v1) in [
            ("p { true }", "p if { true }"),
            ("p = 1 { true }", "p = 1 if { true }"),
            ("p := \"x\" { true }", "p := \"x\" if { true }"),
            ("p[x] { x := 1 }", "p contains x if { x := 1 }"),
            ("p[\"a\"]", "p contains \"a\""),
            ("p[{\"a\": 1}]\n{ true }", "p contains {\"a\": 1}\nif { true }"),
            ("p.a { true }", "p contains \"a\" if { true }"),
            ("p[k] = v { k := 1; v := 2 }", "p[k] = v if { k := 1; v := 2 }"),
            ("p { false } else = \"x\" { false } else = 3", "p if { false } else = \"x\" if { false } else = 3"),
            ("p { false } else { true }", "p if { false } else if { true }"),
            ("p { false } else = `x` # c {\n{ true }", "p if { false } else = `x` # c {\nif { true }"),
            ("p[x]{ x := 1 }", "p contains x if { x := 1 }"),
            ("p{ true }", "p if { true }"),
            ("f(x) { x }", "f(x) if { x }"),
            ("f(x) = y { y := x }", "f(x) = y if { y := x }"),
            ("f(1)", "f(1) := true"),
            ("p.q.r", "p.q.r := true"),
            ("p = {x | x := 1}", "p = {x | x := 1}"),
            ("default p = false", "default p = false"),
        ] {
            assert_eq!(modern(v0), v1, "{v0}");
        }
        for same in [
            "import rego.v1\np if { true }\nq contains 1",
            "import future.keywords\np if { true }\nq contains x if some x in [1]",
            "import future.keywords.in\np = [x | some x in [1]]",
        ] {
            assert_eq!(modern(same), same);
        }
    }

    #[test]
    fn each_departure_is_named_with_its_place_and_what_it_became() {
        let departures =
            modernize("a.rego", "package t\n\ndeny[msg] {\n\tany([true])\n\tmsg := 1\n}\n").unwrap().departures;
        let shown: Vec<_> = departures.iter().map(|d| (d.offset, d.what.as_str(), d.instead.as_str())).collect();
        assert_eq!(
            shown,
            [
                (11, "Rego v0: `deny[msg] {`", "`deny contains msg if {`"),
                (24, "`any` is withdrawn in OPA 1", "`true in xs`"),
            ]
        );
    }
}
