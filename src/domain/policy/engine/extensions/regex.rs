//! `regex.*`: patterns of Go's RE2 in the syntax of Rust's `regex`.
//!
//! `\d`, `\w`, `\s` and `\b` are of ASCII in Go and of Unicode in Rust: `^\d+$` would let through digits that no other
//! system takes for digits. They are put in words that both read alike. What only Rust has (nested and combined classes,
//! the flags `x`, `u`, `R`) or what means different things is beyond the bounds.

use std::cell::RefCell;
use std::collections::BTreeMap;

use regex_syntax::ast::{
    self, AssertionKind, Ast, ClassPerlKind, ClassSet, ClassSetItem, ClassUnicodeKind, Flag, FlagsItemKind,
    RepetitionKind, RepetitionRange,
};
use regorus::Value;

use super::bounded::delegate;
use super::{Extension, Outcome, Stop, args, extension};

const MAX_PATTERN: usize = 4096;
const MAX_TEXT: usize = 256 * 1024;
const MAX_KEPT: usize = 256;
/// Go's bound.
const MAX_REPEAT: u32 = 1000;

pub(super) const TABLE: &[Extension] = &[
    extension("regex.find_n", 3, |_, a| call("regex.find_n", a, 0, 1)),
    extension("regex.is_valid", 1, |_, a| match translated(args::text(a, 0).unwrap_or("(")) {
        Ok(_) => delegate("regex.is_valid", a),
        Err(Stop::Undefined) => Ok(Value::from(false)),
        Err(bound) => Err(bound),
    }),
    extension("regex.match", 2, |_, a| call("regex.match", a, 0, 1)),
    extension("regex.replace", 3, |_, a| call("regex.replace", a, 1, 0)),
];

fn call(name: &'static str, a: &[Value], pattern: usize, text: usize) -> Outcome {
    args::short(args::text(a, text)?, MAX_TEXT)?;
    let mut a = a.to_vec();
    let translated = translated(args::text(&a, pattern)?)?;
    if let Some(slot) = a.get_mut(pattern) {
        *slot = translated;
    }
    delegate(name, &a)
}

thread_local! {
    static KEPT: RefCell<BTreeMap<String, Result<Value, Stop>>> = const { RefCell::new(BTreeMap::new()) };
}

fn translated(pattern: &str) -> Outcome {
    KEPT.with_borrow_mut(|kept| {
        if let Some(known) = kept.get(pattern) {
            return known.clone();
        }
        if kept.len() >= MAX_KEPT {
            kept.clear();
        }
        let translated = translate(pattern).map(Value::from);
        kept.insert(pattern.to_owned(), translated.clone());
        translated
    })
}

fn translate(pattern: &str) -> Result<String, Stop> {
    args::short(pattern, MAX_PATTERN)?;
    if pattern.contains("\\Q") || pattern.contains("\\C") {
        return Err(Stop::Bound("`\\Q` or `\\C` in a pattern"));
    }
    let ast = ast::parse::Parser::new().parse(pattern).map_err(|_| Stop::Undefined)?;
    let mut edits: Vec<(usize, usize, &'static str)> = Vec::new();
    ast::visit(&ast, Translate { edits: &mut edits })?;
    let mut out = pattern.to_owned();
    edits.sort_unstable();
    for (start, end, text) in edits.into_iter().rev() {
        if out.get(start..end).is_some() {
            out.replace_range(start..end, text);
        }
    }
    Ok(out)
}

struct Translate<'e> {
    edits: &'e mut Vec<(usize, usize, &'static str)>,
}

impl Translate<'_> {
    fn put(&mut self, span: &ast::Span, text: &'static str) {
        self.edits.push((span.start.offset, span.end.offset, text));
    }

    fn perl(&mut self, class: &ast::ClassPerl) {
        let text = match (&class.kind, class.negated) {
            (ClassPerlKind::Digit, false) => "[0-9]",
            (ClassPerlKind::Digit, true) => "[^0-9]",
            (ClassPerlKind::Space, false) => "[\\t\\n\\f\\r ]",
            (ClassPerlKind::Space, true) => "[^\\t\\n\\f\\r ]",
            (ClassPerlKind::Word, false) => "[0-9A-Za-z_]",
            (ClassPerlKind::Word, true) => "[^0-9A-Za-z_]",
        };
        self.put(&class.span, text);
    }
}

fn unicode(class: &ast::ClassUnicode) -> Result<(), Stop> {
    match class.kind {
        ClassUnicodeKind::OneLetter(_) => Ok(()),
        _ => Err(Stop::Bound("a named class of Unicode in a pattern")),
    }
}

impl ast::Visitor for Translate<'_> {
    type Output = ();
    type Err = Stop;

    fn finish(self) -> Result<(), Stop> {
        Ok(())
    }

    fn visit_pre(&mut self, ast: &Ast) -> Result<(), Stop> {
        match ast {
            Ast::ClassPerl(class) => self.perl(class),
            Ast::ClassUnicode(class) => unicode(class)?,
            Ast::Assertion(assertion) => match assertion.kind {
                AssertionKind::WordBoundary => self.put(&assertion.span, "(?-u:\\b)"),
                AssertionKind::NotWordBoundary => return Err(Stop::Bound("`\\B` in a pattern")),
                AssertionKind::StartLine
                | AssertionKind::EndLine
                | AssertionKind::StartText
                | AssertionKind::EndText => {}
                _ => return Err(Stop::Bound("a boundary that only Rust has")),
            },
            Ast::Repetition(repetition) => {
                if let RepetitionKind::Range(range) = &repetition.op.kind {
                    let most = match range {
                        RepetitionRange::Exactly(n) | RepetitionRange::AtLeast(n) => *n,
                        RepetitionRange::Bounded(_, n) => *n,
                    };
                    if most > MAX_REPEAT {
                        return Err(Stop::Undefined);
                    }
                }
            }
            Ast::Flags(set) => flags(&set.flags)?,
            Ast::Group(group) => {
                if let ast::GroupKind::NonCapturing(set) = &group.kind {
                    flags(set)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn visit_class_set_item_pre(&mut self, item: &ClassSetItem) -> Result<(), Stop> {
        match item {
            ClassSetItem::Perl(class) => self.perl(class),
            ClassSetItem::Unicode(class) => unicode(class)?,
            ClassSetItem::Bracketed(inner) if !matches!(inner.kind, ClassSet::Item(_)) => {
                return Err(Stop::Bound("a combined class in a pattern"));
            }
            ClassSetItem::Bracketed(_) => return Err(Stop::Bound("a class inside of a class in a pattern")),
            _ => {}
        }
        Ok(())
    }

    fn visit_class_set_binary_op_pre(&mut self, _: &ast::ClassSetBinaryOp) -> Result<(), Stop> {
        Err(Stop::Bound("a combined class in a pattern"))
    }
}

/// Go has `i`, `m`, `s` and `U`.
fn flags(flags: &ast::Flags) -> Result<(), Stop> {
    let foreign = flags
        .items
        .iter()
        .any(|item| matches!(&item.kind, FlagsItemKind::Flag(Flag::Unicode | Flag::CRLF | Flag::IgnoreWhitespace)));
    if foreign { Err(Stop::Bound("a flag that only Rust has")) } else { Ok(()) }
}
