//! The words: can a person read them, and do they say what they seem to say?

use unicode_security::MixedScript as _;

use super::draft::Draft;
use super::finding::{Code, Finding};
use super::node::Pos;
use crate::domain::action::is_invisible;

const MAX_SUMMARY: usize = 600;
const MIN_WORDS: usize = 5;

pub(super) fn check(draft: &Draft<'_>, findings: &mut Vec<Finding>) {
    invisible(draft, findings);
    lookalike(draft, findings);
    summary(draft, findings);
}

/// In the file as it stands, and in the values: an escape such as `\u202e` stands only there.
fn invisible(draft: &Draft<'_>, findings: &mut Vec<Finding>) {
    let hidden = |c: char| is_invisible(c) || (c.is_control() && !matches!(c, '\n' | '\r' | '\t'));
    let mut places: Vec<(Pos, char)> = Vec::new();
    for (index, line) in draft.source.text.lines().enumerate() {
        let found = line.chars().enumerate().filter(|(_, c)| hidden(*c));
        places.extend(found.map(|(column, c)| (Pos { line: index + 1, column: column + 1 }, c)));
    }
    if places.is_empty() {
        let texts = draft.root.texts();
        places.extend(texts.iter().filter_map(|(text, pos)| Some((*pos, text.chars().find(|c| hidden(*c))?))));
    }
    for (pos, c) in places {
        let message = format!("the character U+{:04X} is here and nobody sees it", u32::from(c));
        let suggestion = "delete it and type the words again: what is shown must be what is signed";
        findings.push(draft.finding(Code::Invisible, pos, message, suggestion));
    }
}

fn lookalike(draft: &Draft<'_>, findings: &mut Vec<Finding>) {
    for (text, pos) in draft.root.texts() {
        let words = text.split(|c: char| !c.is_alphanumeric());
        let Some(word) = words.into_iter().find(|word| !word.is_ascii() && deceives(word)) else { continue };
        let codes: Vec<String> =
            word.chars().filter(|c| !c.is_ascii()).map(|c| format!("U+{:04X}", u32::from(c))).collect();
        let message = format!("`{word}` holds letters that look like others: {}", codes.join(" "));
        findings.push(draft.finding(Code::Lookalike, pos, message, "type the word again in one script"));
    }
}

/// Letters of two scripts in one word, or letters in the shape of others (full width, mathematical).
fn deceives(word: &str) -> bool {
    let dressed = |c: char| matches!(c, '\u{ff01}'..='\u{ff5e}' | '\u{1d400}'..='\u{1d7ff}' | '\u{2100}'..='\u{214f}');
    !word.is_single_script() || word.chars().any(dressed)
}

fn summary(draft: &Draft<'_>, findings: &mut Vec<Finding>) {
    let Some((text, pos)) = draft.text("summary").filter(|(text, _)| !text.trim().is_empty()) else { return };
    let (message, suggestion) = if text.chars().count() > MAX_SUMMARY {
        (
            format!("the summary has {} characters", text.chars().count()),
            "say it in at most 600: what may be done, and why that is lawful",
        )
    } else if text.split_whitespace().count() < MIN_WORDS || !text.trim_end().ends_with(['.', '!', '?']) {
        (
            "the summary is no sentence".to_owned(),
            "write at least one whole sentence: what may be done, and why that is lawful",
        )
    } else {
        return;
    };
    findings.push(draft.finding(Code::Summary, pos, message, suggestion));
}
