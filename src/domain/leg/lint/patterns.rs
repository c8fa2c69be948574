//! Patterns: do they compile, do they keep anything out, could they hang somebody else's engine?
//!
//! The services match in linear time. Other readers of the same file (a form, a gateway, a JSON Schema validator) may
//! backtrack, so a pattern that can be split in many ways is reported. The test is over the parsed expression: a
//! repetition without end whose body ends in a repetition that shares characters with the body's start, or two such
//! repetitions side by side.

use regex_syntax::hir::{Class, ClassUnicode, ClassUnicodeRange, Hir, HirKind, Repetition};

use super::draft::Draft;
use super::finding::{Code, Finding};
use super::node::{Node, Pos};

/// Each stands for a kind of character that a reference number has no use for all of.
const PROBES: [char; 10] = ['a', 'Z', '0', ' ', '!', '<', '\'', '/', 'ä', '中'];

pub(super) fn check(draft: &Draft<'_>, findings: &mut Vec<Finding>) {
    for variable in draft.variables() {
        let Some((pattern, pos)) = variable.pattern() else { continue };
        pattern_at(draft, &format!("the pattern of `{}`", variable.name), pattern, pos, findings);
    }
    let rule = draft.root.find("accountable_party").and_then(|rule| rule.find("id_pattern"));
    if let Some((pattern, pos)) = rule.and_then(|node: &Node| Some((node.as_text()?, node.pos))) {
        pattern_at(draft, "`accountable_party.id_pattern`", pattern, pos, findings);
    }
}

fn pattern_at(draft: &Draft<'_>, what: &str, pattern: &str, pos: Pos, findings: &mut Vec<Finding>) {
    let alone = regex_lite::Regex::new(pattern);
    let (Ok(_), Ok(regex)) = (&alone, regex_lite::Regex::new(&format!("^(?:{pattern})$"))) else {
        let why = alone.err().map(|error| error.to_string()).unwrap_or_default();
        let why = why.lines().last().unwrap_or_default().chars().take(120).collect::<String>();
        let suggestion = "write a regular expression such as '[A-Z]+-[0-9]{1,8}'; single quotes keep backslashes";
        findings.push(draft.finding(Code::PatternInvalid, pos, format!("{what} is none: {why}"), suggestion));
        return;
    };
    let takes = |probe: char| (1..=8).any(|n| regex.is_match(&probe.to_string().repeat(n)));
    if PROBES.into_iter().all(takes) {
        let suggestion = "leave it out, or write what such a value really looks like: '[A-Z]+-[0-9]{1,8}'";
        findings.push(draft.finding(Code::PatternOpen, pos, format!("{what} lets everything through"), suggestion));
    } else if regex_syntax::parse(pattern).is_ok_and(|hir| ambiguous(&hir)) {
        let message = format!("{what} can be matched in very many ways, which hangs engines that backtrack");
        let suggestion = "do not repeat what is repeated already: '[a-z]+' instead of '([a-z]+)+'";
        findings.push(draft.finding(Code::PatternBacktracks, pos, message, suggestion));
    }
}

/// Whether one text can be matched in a number of ways that grows with its length.
fn ambiguous(hir: &Hir) -> bool {
    match hir.kind() {
        HirKind::Repetition(repetition) => {
            (endless(repetition) && splits(&repetition.sub)) || ambiguous(&repetition.sub)
        }
        HirKind::Capture(capture) => ambiguous(&capture.sub),
        HirKind::Alternation(branches) => branches.iter().any(ambiguous),
        HirKind::Concat(parts) => {
            let side_by_side = parts.iter().zip(parts.iter().skip(1)).any(|(left, right)| {
                endless_tail(left).is_some_and(|tail| endless_head(right).is_some_and(|head| meet(&tail, &head)))
            });
            side_by_side || parts.iter().any(ambiguous)
        }
        HirKind::Empty | HirKind::Literal(_) | HirKind::Class(_) | HirKind::Look(_) => false,
    }
}

fn endless(repetition: &Repetition) -> bool {
    repetition.max.is_none_or(|max| max > 64)
}

/// Whether the end of one round and the start of the next can share characters.
fn splits(body: &Hir) -> bool {
    endless_tail(body).is_some_and(|tail| meet(&tail, &first(body)))
}

/// The characters of a repetition without end that the expression can end in.
fn endless_tail(hir: &Hir) -> Option<ClassUnicode> {
    match hir.kind() {
        HirKind::Repetition(repetition) if endless(repetition) => Some(first(&repetition.sub)),
        HirKind::Repetition(repetition) => endless_tail(&repetition.sub),
        HirKind::Capture(capture) => endless_tail(&capture.sub),
        HirKind::Alternation(branches) => union(branches.iter().filter_map(endless_tail)),
        HirKind::Concat(parts) => {
            let count = parts.iter().rev().take_while(|part| nullable(part)).count() + 1;
            union(parts.iter().rev().take(count).filter_map(endless_tail))
        }
        _ => None,
    }
}

/// The characters of a repetition without end that the expression can start with.
fn endless_head(hir: &Hir) -> Option<ClassUnicode> {
    match hir.kind() {
        HirKind::Repetition(repetition) if endless(repetition) => Some(first(&repetition.sub)),
        HirKind::Repetition(repetition) => endless_head(&repetition.sub),
        HirKind::Capture(capture) => endless_head(&capture.sub),
        HirKind::Concat(parts) => parts.first().and_then(endless_head),
        _ => None,
    }
}

/// The characters that the expression can start with.
fn first(hir: &Hir) -> ClassUnicode {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => ClassUnicode::empty(),
        HirKind::Literal(literal) => {
            let start = std::str::from_utf8(&literal.0).ok().and_then(|text| text.chars().next());
            ClassUnicode::new(start.map(|c| ClassUnicodeRange::new(c, c)))
        }
        HirKind::Class(Class::Unicode(class)) => class.clone(),
        HirKind::Class(Class::Bytes(class)) => class.to_unicode_class().unwrap_or_else(ClassUnicode::empty),
        HirKind::Repetition(repetition) => first(&repetition.sub),
        HirKind::Capture(capture) => first(&capture.sub),
        HirKind::Alternation(branches) => union(branches.iter().map(first)).unwrap_or_else(ClassUnicode::empty),
        HirKind::Concat(parts) => {
            let count = parts.iter().take_while(|part| nullable(part)).count() + 1;
            union(parts.iter().take(count).map(first)).unwrap_or_else(ClassUnicode::empty)
        }
    }
}

fn nullable(hir: &Hir) -> bool {
    hir.properties().minimum_len() == Some(0)
}

fn union(classes: impl Iterator<Item = ClassUnicode>) -> Option<ClassUnicode> {
    classes.reduce(|mut all, class| {
        all.union(&class);
        all
    })
}

fn meet(one: &ClassUnicode, other: &ClassUnicode) -> bool {
    let mut both = one.clone();
    both.intersect(other);
    !both.ranges().is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_patterns_that_can_be_split_in_many_ways_are_ambiguous() {
        for bad in ["(a+)+", "^([A-Z]+)*$", "([a-z]+-?)+", "(.*)*x", "[0-9]+[0-9]*x", "(a|b+)+", "((ab)*c*)*", ".*.*"] {
            assert!(ambiguous(&regex_syntax::parse(bad).unwrap()), "{bad}");
        }
        for good in [
            "^[A-Z]+(-[A-Z0-9]+)+$",
            "^[A-Za-z0-9._-]+$",
            "^([A-Z]{2}|GLOBAL)$",
            "[A-Z][A-Z0-9]*-[0-9]+",
            "(a{1,3}){1,9}",
            "(ab)+",
        ] {
            assert!(!ambiguous(&regex_syntax::parse(good).unwrap()), "{good}");
        }
    }
}
