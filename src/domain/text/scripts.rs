//! Which letters do not belong to the word or the text that they stand in (UTS #39 §4 and §5).

use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;
use unicode_script::{Script, ScriptExtension, UnicodeScript as _};
use unicode_security::mixed_script::AugmentedScriptSet;
use unicode_security::skeleton;

use super::scrutiny::{TextDefect, TextFinding};

/// A word of this many look-alikes is found even where the text has other letters of their script.
const WORD: usize = 3;

/// Default-ignorable: the skeleton of UTS #39 leaves nothing of it.
pub(in crate::domain) fn is_ignorable(c: char) -> bool {
    skeleton(c.encode_utf8(&mut [0; 4])).next().is_none()
}

/// Private use, or not assigned.
pub(super) fn is_unknown(c: char) -> bool {
    c.script() == Script::Unknown
}

/// Whether Han, kana or Hangul stand in the text.
pub(super) fn has_east_asian(text: &str) -> bool {
    text.chars().any(|c| {
        matches!(c.script(), Script::Han | Script::Hiragana | Script::Katakana | Script::Hangul | Script::Bopomofo)
    })
}

/// Finds letters that look like ASCII or belong to another script than the word around them.
pub(super) fn words(text: &str, findings: &mut Vec<TextFinding>) {
    let distinct = distinct_scripts(text);
    let mut from = None;
    for (at, c) in text.char_indices().chain([(text.len(), ' ')]) {
        if is_of_word(c) {
            from = from.or(Some(at));
            continue;
        }
        if let Some(start) = from.take() {
            let word = text.get(start..at).unwrap_or_default();
            if !word.is_ascii() {
                foreign_letters(text, start, word, &distinct, findings);
            }
        }
        if !c.is_ascii() && is_lookalike_symbol(c, &distinct) {
            findings.push(TextFinding { at, kind: TextDefect::Lookalike, char: c });
        }
    }
}

/// One finding where right-to-left letters stand in a text with ASCII letters or digits.
pub(super) fn direction(text: &str, findings: &mut Vec<TextFinding>) {
    if !text.bytes().any(|b| b.is_ascii_alphanumeric()) {
        return;
    }
    if let Some((at, char)) = text.char_indices().find(|(_, c)| is_right_to_left(*c)) {
        findings.push(TextFinding { at, kind: TextDefect::MixedDirection, char });
    }
}

/// The blocks whose letters have Bidi_Class R or AL (UAX #9).
fn is_right_to_left(c: char) -> bool {
    let block = matches!(c,
        '\u{590}'..='\u{8ff}' | '\u{fb1d}'..='\u{fdff}' | '\u{fe70}'..='\u{feff}' | '\u{10800}'..='\u{10fff}'
        | '\u{1e800}'..='\u{1efff}');
    block && c.is_alphabetic()
}

fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || is_combining_mark(c)
}

/// The scripts of which the text has a letter that no one takes for ASCII.
fn distinct_scripts(text: &str) -> Vec<Script> {
    let letters = text.chars().filter(|c| !c.is_ascii() && c.is_alphanumeric() && !looks_like_ascii(*c));
    letters.fold(Vec::new(), |mut scripts, c| {
        let script = c.script();
        if !scripts.contains(&script) {
            scripts.push(script);
        }
        scripts
    })
}

fn foreign_letters(text: &str, start: usize, word: &str, distinct: &[Script], findings: &mut Vec<TextFinding>) {
    let mut find = |kind: TextDefect, wanted: &dyn Fn(char) -> bool| {
        let letters = word.char_indices().filter(|(_, c)| c.is_alphanumeric() && wanted(*c));
        findings.extend(letters.map(|(at, char)| TextFinding { at: start + at, kind, char }));
    };
    if is_mixed(word) {
        let home = home_of(word);
        let foreign = |c: char| !c.script_extension().contains_script(home);
        find(TextDefect::MixedScript, &foreign);
        find(TextDefect::Lookalike, &|c| foreign(c) && looks_latin(c));
        return;
    }
    let mut letters = word.chars().filter(|c| !c.is_ascii() && c.is_alphanumeric()).peekable();
    let Some(script) = letters.peek().map(|c| c.script()) else { return };
    let count = letters.clone().count();
    if !letters.all(looks_like_ascii) {
        return;
    }
    let posing = script != Script::Latin && count >= WORD && text.bytes().any(|b| b.is_ascii_alphabetic());
    if posing || !distinct.contains(&script) {
        find(TextDefect::Lookalike, &|c| !c.is_ascii());
    }
}

/// Whether no script covers the word. Latin beside East Asian scripts is ordinary ("highly restrictive", UTS #39 §5.2).
fn is_mixed(word: &str) -> bool {
    if !AugmentedScriptSet::for_str(word).is_empty() {
        return false;
    }
    let mut rest = AugmentedScriptSet::default();
    for c in word.chars().filter(|c| !c.script_extension().contains_script(Script::Latin)) {
        rest.intersect_with(AugmentedScriptSet::for_char(c));
    }
    !(rest.jpan || rest.hanb || rest.kore)
}

/// The script that a reader takes a mixed word for: Latin if it has Latin letters, else that of its first letter.
fn home_of(word: &str) -> Script {
    let scripts = || word.chars().map(|c| c.script()).filter(|s| !matches!(s, Script::Common | Script::Inherited));
    if scripts().any(|script| script == Script::Latin) {
        return Script::Latin;
    }
    scripts().next().unwrap_or(Script::Latin)
}

/// A letter or digit whose skeleton is ASCII. Latin ligatures (`æ`, `œ`) are what they look like.
fn looks_like_ascii(c: char) -> bool {
    let mut buffer = [0; 4];
    let mut drawn = skeleton(c.encode_utf8(&mut buffer)).peekable();
    drawn.peek().is_some() && {
        let (mut count, mut ascii) = (0, true);
        for d in drawn {
            count += 1;
            ascii &= d.is_ascii();
        }
        ascii && (count == 1 || c.script() != Script::Latin)
    }
}

/// A letter whose skeleton has Latin letters only.
fn looks_latin(c: char) -> bool {
    let mut buffer = [0; 4];
    skeleton(c.encode_utf8(&mut buffer)).all(|d| d.is_ascii() || d.script() == Script::Latin)
}

/// A sign that is drawn like an ASCII one. The quotes, dashes and operators of ordinary typesetting are left out, and
/// a script's own punctuation in a text of that script.
fn is_lookalike_symbol(c: char, distinct: &[Script]) -> bool {
    let everyday = matches!(c,
        '‐'..='―' | '‘'..='‟' | '•' | '′' | '″' | '‹' | '›' | '−' | '\u{a1}'..='\u{ff}');
    // A compatibility form is found, or let pass, as one.
    if everyday || c.nfkc().ne([c]) || !looks_like_ascii(c) {
        return false;
    }
    let scripts: ScriptExtension = c.script_extension();
    let shared = scripts.is_common() || scripts.is_inherited();
    shared || !distinct.iter().any(|script| scripts.contains_script(*script))
}
