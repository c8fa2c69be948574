//! Two patterns: does the new one let more through?
//!
//! Said only where it can be shown: both are finite lists of words, or they differ in the numbers of their `{m,n}` alone.
//! Whether one regular expression contains another is not decided in general here.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use regex_lite::Regex;
use regex_syntax::hir::literal::Extractor;
use regex_syntax::hir::{Hir, HirKind, Look};

use super::{Change, Effect};

static COUNTS: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"\{([0-9]+)(,([0-9]*))?\}").ok());

/// The change from one pattern to another; none where both are the same.
pub(super) fn compare_patterns(field: &str, what: &str, old: Option<&str>, new: Option<&str>) -> Option<Change> {
    match (old, new) {
        (Some(old), Some(new)) if old != new => Some(changed(field, what, old, new)),
        (None, Some(new)) => Some(Change::new(Effect::Narrower, field, format!("{what} must now match {new}"))),
        (Some(old), None) => Some(Change::new(Effect::Wider, field, format!("{what} no longer has to match {old}"))),
        _ => None,
    }
}

fn changed(field: &str, what: &str, old: &str, new: &str) -> Change {
    if let (Some(before), Some(after)) = (words(old), words(new)) {
        let more: Vec<String> = after.difference(&before).cloned().collect();
        let less: Vec<String> = before.difference(&after).cloned().collect();
        let text = match (more.as_slice(), less.as_slice()) {
            ([], []) => {
                return Change::new(Effect::Same, field, format!("the pattern of {what} is written in another way"));
            }
            (more, []) => (Effect::Wider, format!("{what} may now also be {}", more.join(", "))),
            ([], less) => (Effect::Narrower, format!("{what} can no longer be {}", less.join(", "))),
            (more, less) => {
                (Effect::Other, format!("{what} may now be {} and no longer {}", more.join(", "), less.join(", ")))
            }
        };
        return Change::new(text.0, field, text.1);
    }
    if inner(old).is_some_and(|hir| inner(new) == Some(hir)) {
        return Change::new(Effect::Same, field, format!("the pattern of {what} is written in another way"));
    }
    let effect = counts(old, new).unwrap_or(Effect::Other);
    Change::new(effect, field, format!("{what} had to match {old} and must match {new}"))
}

/// Every text that a pattern takes, where they are few.
fn words(pattern: &str) -> Option<BTreeSet<String>> {
    let hir = regex_syntax::parse(pattern).ok()?;
    let mut extractor = Extractor::new();
    extractor.limit_class(64).limit_repeat(4).limit_literal_len(128).limit_total(512);
    let found = extractor.extract(&hir);
    let literals = found.literals()?;
    let all = literals.iter().map(|literal| {
        let text = String::from_utf8(literal.as_bytes().to_vec()).ok()?;
        literal.is_exact().then_some(text)
    });
    all.collect()
}

/// The expression without what every pattern has around it: it is matched against the whole of a value.
fn inner(pattern: &str) -> Option<Hir> {
    let mut hir = regex_syntax::parse(pattern).ok()?;
    loop {
        hir = match hir.into_kind() {
            HirKind::Capture(capture) => *capture.sub,
            HirKind::Concat(mut parts) if parts.first().map(Hir::kind) == Some(&HirKind::Look(Look::Start)) => {
                Hir::concat(parts.split_off(1))
            }
            HirKind::Concat(mut parts) if parts.last().map(Hir::kind) == Some(&HirKind::Look(Look::End)) => {
                parts.pop();
                Hir::concat(parts)
            }
            HirKind::Concat(parts) => return Some(Hir::concat(parts)),
            HirKind::Alternation(branches) => return Some(Hir::alternation(branches)),
            HirKind::Repetition(repetition) => return Some(Hir::repetition(repetition)),
            HirKind::Class(class) => return Some(Hir::class(class)),
            HirKind::Literal(literal) => return Some(Hir::literal(literal.0)),
            HirKind::Look(look) => return Some(Hir::look(look)),
            HirKind::Empty => return Some(Hir::empty()),
        };
    }
}

/// Two patterns that differ in their `{m,n}` alone.
fn counts(old: &str, new: &str) -> Option<Effect> {
    let regex = COUNTS.as_ref()?;
    if regex.replace_all(old, "#") != regex.replace_all(new, "#") {
        return None;
    }
    let bounds = |pattern: &str| -> Vec<(u32, u32)> {
        let number = |text: &str| text.parse().unwrap_or(u32::MAX);
        let captures = regex.captures_iter(pattern).map(|capture| {
            let least = capture.get(1).map_or(0, |m| number(m.as_str()));
            let most = capture.get(2).map_or(least, |_| capture.get(3).map_or(u32::MAX, |m| number(m.as_str())));
            (least, most)
        });
        captures.collect()
    };
    let (old, new) = (bounds(old), bounds(new));
    let mut pairs = old.iter().zip(&new);
    if pairs.clone().all(|(old, new)| new.0 <= old.0 && old.1 <= new.1) {
        return Some(Effect::Wider);
    }
    pairs.all(|(old, new)| old.0 <= new.0 && new.1 <= old.1).then_some(Effect::Narrower)
}
