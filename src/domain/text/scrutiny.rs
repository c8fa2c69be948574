//! What in a text could make a reader see something else than what is there.
//!
//! After UTS #39 (Unicode Security Mechanisms) and UTR #36: characters that are not drawn, characters that reorder
//! others, second spellings of the same text (UAX #15), and letters of one script that look like those of another.
//! A finding is a fact about one character; what follows from it (refuse, show by its number, warn) is the caller's.
//! ASCII without control characters has no finding and costs one pass.
//!
//! Not here: whether a text makes sense, and look-alikes inside ASCII (`l` and `1`).

use serde::{Deserialize, Serialize};
use unicode_normalization::char::{canonical_combining_class, is_combining_mark};
use unicode_normalization::{IsNormalized, UnicodeNormalization as _, is_nfc, is_nfc_quick};

use super::scripts;

/// The most combining marks that one letter may carry (UTS #39 §5.4 forbids more than four; no living orthography
/// needs more than three).
const MAX_MARKS: usize = 3;

/// What is wrong with a character where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TextDefect {
    /// A control character or a line separator.
    Control,
    /// It changes the direction in which its neighbours are drawn.
    Bidi,
    /// It is not drawn: zero width, tags, fillers, variation selectors and other default-ignorables.
    Invisible,
    /// Private use or not assigned: what is drawn is up to the font.
    Unassigned,
    /// The text is not in Normalization Form C here: a twin that looks the same has other bytes.
    NotNfc,
    /// A compatibility form, such as a full-width letter.
    Compatibility,
    /// Marks piled up, doubled, or on nothing that takes a mark.
    Combining,
    /// A letter of another script inside a word.
    MixedScript,
    /// It looks like an ASCII character and is not.
    Lookalike,
    /// Right-to-left letters beside left-to-right ones or digits: drawn in another order than stored. It is how such
    /// scripts are written, so nothing refuses it.
    MixedDirection,
}

impl TextDefect {
    /// Every kind.
    pub const ALL: [Self; 10] = [
        Self::Control,
        Self::Bidi,
        Self::Invisible,
        Self::Unassigned,
        Self::NotNfc,
        Self::Compatibility,
        Self::Combining,
        Self::MixedScript,
        Self::Lookalike,
        Self::MixedDirection,
    ];

    /// The name as written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Control => "control",
            Self::Bidi => "bidi",
            Self::Invisible => "invisible",
            Self::Unassigned => "unassigned",
            Self::NotNfc => "not_nfc",
            Self::Compatibility => "compatibility",
            Self::Combining => "combining",
            Self::MixedScript => "mixed_script",
            Self::Lookalike => "lookalike",
            Self::MixedDirection => "mixed_direction",
        }
    }

    /// A sentence for people.
    pub fn explain(self) -> &'static str {
        match self {
            Self::Control => "a control character or line break",
            Self::Bidi => "a character that reorders what is drawn",
            Self::Invisible => "a character that is not drawn",
            Self::Unassigned => "a character whose look is up to the font",
            Self::NotNfc => "a second spelling of a text that looks the same",
            Self::Compatibility => "a compatibility form, such as a full-width letter",
            Self::Combining => "piled-up or misplaced combining marks",
            Self::MixedScript => "letters of several scripts in one word",
            Self::Lookalike => "a character that looks like another one",
            Self::MixedDirection => "right-to-left and left-to-right text, drawn in another order than stored",
        }
    }
}

/// One character that a reader may not see for what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TextFinding {
    /// Byte offset of the character.
    pub at: usize,
    /// What is wrong.
    pub kind: TextDefect,
    /// The character.
    pub char: char,
}

/// Everything in `text` that could make a reader see something else, by place. A character may be found for several
/// reasons.
pub fn scrutinise(text: &str) -> Vec<TextFinding> {
    if text.bytes().all(|b| (0x20..0x7f).contains(&b)) {
        return Vec::new();
    }
    let mut findings: Vec<TextFinding> = Vec::new();
    for (at, char) in text.char_indices() {
        findings.extend(alone(text, char).map(|kind| TextFinding { at, kind, char }));
    }
    if !text.is_ascii() {
        not_nfc(text, &mut findings);
        marks(text, &mut findings);
        scripts::words(text, &mut findings);
        scripts::direction(text, &mut findings);
    }
    findings.sort_unstable();
    findings.dedup();
    findings
}

/// `text` with every found character written by its number, as in `⟦U+202E⟧`. The brackets themselves are written so
/// too, so that two different texts never become the same; no line break survives.
pub fn visible(text: &str, findings: &[TextFinding]) -> String {
    use std::fmt::Write as _;
    let mut shown = String::with_capacity(text.len());
    let mut found = findings.iter().filter(|finding| finding.kind != TextDefect::MixedDirection).peekable();
    for (at, c) in text.char_indices() {
        let mut hidden = matches!(c, '⟦' | '⟧');
        while found.next_if(|finding| finding.at <= at).is_some() {
            hidden = true;
        }
        if hidden {
            let _ = write!(shown, "⟦U+{:04X}⟧", u32::from(c));
        } else {
            shown.push(c);
        }
    }
    shown
}

/// What is wrong with a character whatever stands beside it (compatibility punctuation of East Asian text excepted).
fn alone(text: &str, c: char) -> Option<TextDefect> {
    match c {
        '\u{20}'..'\u{7f}' => None,
        _ if c.is_control() => Some(TextDefect::Control),
        '\u{2028}' | '\u{2029}' => Some(TextDefect::Control),
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
            Some(TextDefect::Bidi)
        }
        // Braille blank, object replacement and annotations are drawn as nothing, or as nothing of their own.
        '\u{2800}' | '\u{fff9}'..='\u{fffc}' | '\u{180e}' => Some(TextDefect::Invisible),
        _ if scripts::is_ignorable(c) => Some(TextDefect::Invisible),
        _ if scripts::is_unknown(c) => Some(TextDefect::Unassigned),
        _ if is_compatibility(c) && !(is_wide_punctuation(c) && scripts::has_east_asian(text)) => {
            Some(TextDefect::Compatibility)
        }
        _ => None,
    }
}

/// NFKC writes it otherwise, NFC does not. Left out is what ordinary texts of living languages are written with.
fn is_compatibility(c: char) -> bool {
    let everyday = matches!(
        c,
        '\u{a1}'
            ..='\u{ff}' | '…' | '™' | '№' | '℃' | '℉'
        // Armenian ech-yiwn, Thai and Lao sara am and Lao ho no, ho mo
        | '\u{587}' | '\u{e33}' | '\u{eb3}' | '\u{edc}' | '\u{edd}'
    );
    if everyday {
        return false;
    }
    // A space that is none: Ogham's has no decomposition.
    c.is_whitespace() || (c.nfkc().ne(c.nfc()))
}

fn is_wide_punctuation(c: char) -> bool {
    matches!(c, '\u{ff01}'..='\u{ff65}' | '\u{3000}') && !c.is_alphanumeric()
}

/// Marks every character that normalisation would change. A character of class 0 that never composes with what stands
/// before it starts a stretch of its own (UAX #15 §9).
fn not_nfc(text: &str, findings: &mut Vec<TextFinding>) {
    if is_nfc(text) {
        return;
    }
    let starts_stretch =
        |c: char| canonical_combining_class(c) == 0 && is_nfc_quick(std::iter::once(c)) == IsNormalized::Yes;
    let mut from = 0;
    let ends = text.char_indices().filter(|(at, c)| *at > 0 && starts_stretch(*c)).map(|(at, _)| at);
    for end in ends.chain([text.len()]) {
        let stretch = text.get(from..end).unwrap_or_default();
        if !is_nfc(stretch) {
            let single = stretch.chars().nth(1).is_none();
            let marked = stretch.char_indices().skip(usize::from(!single));
            findings.extend(marked.map(|(at, char)| TextFinding { at: from + at, kind: TextDefect::NotNfc, char }));
        }
        from = end;
    }
}

fn marks(text: &str, findings: &mut Vec<TextFinding>) {
    let (mut base, mut run, mut last) = (None::<char>, 0, None::<char>);
    for (at, char) in text.char_indices() {
        if !is_combining_mark(char) || scripts::is_ignorable(char) {
            (base, run, last) = (Some(char), 0, None);
            continue;
        }
        run += 1;
        let on_nothing = !base.is_some_and(char::is_alphabetic);
        if on_nothing || run > MAX_MARKS || last == Some(char) {
            findings.push(TextFinding { at, kind: TextDefect::Combining, char });
        }
        last = Some(char);
    }
}
