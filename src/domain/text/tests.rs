//! The corpus of tests/vectors/unicode: every attack is found under the name of its file, no honest text is.

use std::path::{Path, PathBuf};

use proptest::prelude::*;
use serde::Deserialize;

use super::*;

#[derive(Deserialize)]
pub(crate) struct Attack {
    pub kind: TextDefect,
    pub text: String,
    #[serde(skip)]
    pub name: String,
}

fn files(folder: &str) -> Vec<(String, String)> {
    let root: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/unicode").join(folder);
    let mut files: Vec<_> = std::fs::read_dir(root)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.file_stem().unwrap().to_str().unwrap().to_owned(), std::fs::read_to_string(&path).unwrap()))
        .collect();
    files.sort();
    files
}

pub(crate) fn attacks() -> Vec<Attack> {
    let attacks: Vec<_> = files("attack")
        .into_iter()
        .map(|(name, text)| Attack { name, ..serde_json::from_str(&text).unwrap() })
        .collect();
    assert!(attacks.len() >= 60, "{} attacks", attacks.len());
    attacks
}

pub(crate) fn legitimate() -> Vec<(String, String)> {
    let texts: Vec<_> = files("legitimate").into_iter().map(|(n, text)| (n, text.trim_end().to_owned())).collect();
    assert!(texts.len() >= 20, "{} texts", texts.len());
    texts
}

#[test]
fn every_attack_is_found_under_its_own_name() {
    let missed: Vec<_> = attacks()
        .into_iter()
        .filter(|attack| !scrutinise(&attack.text).iter().any(|finding| finding.kind == attack.kind))
        .map(|attack| (scrutinise(&attack.text), attack.name))
        .collect();
    assert!(missed.is_empty(), "{missed:#?}");
    for attack in attacks() {
        assert!(attack.name.starts_with(attack.kind.as_str()), "{}", attack.name);
    }
}

#[test]
fn every_kind_but_the_harmless_one_has_an_attack() {
    let attacks = attacks();
    for kind in TextDefect::ALL {
        let has = attacks.iter().any(|attack| attack.kind == kind);
        assert_eq!(has, kind != TextDefect::MixedDirection, "{}", kind.as_str());
        assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
    }
}

#[test]
fn no_honest_text_is_found_or_refused() {
    let found: Vec<_> = legitimate()
        .into_iter()
        .map(|(name, text)| (scrutinise(&text), text.parse::<PlainText>().is_ok(), name))
        .filter(|(findings, plain, _)| !findings.is_empty() || !plain)
        .collect();
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn no_attack_is_plain_text_and_the_error_says_what_and_where() {
    for attack in attacks() {
        let error = attack.text.parse::<PlainText>().expect_err(&attack.name);
        let PlainTextError::Character(finding) = error else { panic!("{}: {error}", attack.name) };
        assert!(attack.text[finding.at..].starts_with(finding.char), "{}", attack.name);
        let code = format!("U+{:04X} at byte {}", u32::from(finding.char), finding.at);
        assert!(error.to_string().contains(&code), "{error}");
    }
    for bad in ["", "   ", &"x".repeat(513)] {
        assert_eq!(bad.parse::<PlainText>(), Err(PlainTextError::Length));
    }
}

#[test]
fn what_honest_texts_have_is_shown_with_a_warning_and_not_refused() {
    for (text, kind) in [
        ("Article 6\u{a0}: le contrat", TextDefect::Compatibility),
        ("הספק V-1001", TextDefect::MixedDirection),
        ("ΔT of 5 K", TextDefect::MixedScript),
        ("a resistor of 5 kΩ", TextDefect::MixedScript),
    ] {
        assert_eq!(scrutinise(text).first().map(|finding| finding.kind), Some(kind), "{text}");
        assert!(text.parse::<PlainText>().is_ok(), "{text}");
    }
}

#[test]
fn found_characters_are_shown_by_their_number_and_the_brackets_too() {
    let shown = |text: &str| visible(text, &scrutinise(text));
    assert_eq!(shown("a\u{202e}b"), "a⟦U+202E⟧b");
    assert_eq!(shown("⟦U+202E⟧"), "⟦U+27E6⟧U+202E⟦U+27E7⟧");
    assert_eq!(shown("p\u{430}ypal"), "p⟦U+0430⟧ypal");
    assert_eq!(shown("Rene\u{301}"), "Rene⟦U+0301⟧");
    assert_eq!(shown("Müller"), "Müller");
    assert_eq!(shown("הספק V-1"), "הספק V-1");
}

/// Reads back what [`visible`] wrote.
fn decode(shown: &str) -> String {
    let mut text = String::new();
    let mut rest = shown;
    while let Some((before, behind)) = rest.split_once("⟦U+") {
        let (code, after) = behind.split_once('⟧').unwrap();
        text.push_str(before);
        text.push(char::from_u32(u32::from_str_radix(code, 16).unwrap()).unwrap());
        rest = after;
    }
    text + rest
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2048, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_shown_can_be_read_back_and_holds_nothing_hidden(
        text in "([a-z0-9 ⟦⟧U+-]|[а-яα-ω]|[\u{300}-\u{30f}]|[\u{200b}-\u{202e}]|[\u{0}-\u{1f}]|\\PC|\\pC){0,24}",
    ) {
        let shown = visible(&text, &scrutinise(&text));
        prop_assert_eq!(&decode(&shown), &text);
        let hidden = |c: char| c.is_control() || scripts::is_ignorable(c) || scripts::is_unknown(c);
        prop_assert!(!shown.contains(hidden), "{:?}", shown);
        prop_assert!(shown.lines().count() <= 1);
    }

    #[test]
    fn plain_text_is_in_normal_form_c(text in "\\PC{1,24}") {
        if let Ok(plain) = text.parse::<PlainText>() {
            prop_assert!(unicode_normalization::is_nfc(plain.as_str()));
        }
    }
}
