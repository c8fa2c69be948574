//! The sentence that tells an approver what a call would do: plain text with `{{parameter}}` placeholders.
//!
//! It is written by the catalogue's owner, not by an agent. What an agent gives is filled in so that it cannot become
//! part of the sentence: anything but a plain token is written as JSON, in quotes.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::json::{self, Object};
use super::text::{scrutinise, visible};

/// The longest sentence, in bytes.
const MAX_BYTES: usize = 240;
/// What stands for an optional parameter that was not given.
const NOT_GIVEN: &str = "—";

/// Why a text is no sentence of a catalogue.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SentenceError {
    /// Empty or too long.
    #[error("expected 1 to {MAX_BYTES} bytes of one sentence")]
    Length,
    /// A brace that neither opens nor closes a placeholder, or a placeholder without a name.
    #[error("unbalanced braces at byte {0}: a placeholder is `{{{{parameter}}}}`")]
    Braces(usize),
    /// A character that a reader may not see for what it is.
    #[error("U+{code:04X} at byte {at} is refused ({kind})", code = u32::from(*.char), kind = .kind)]
    Character {
        /// Byte offset.
        at: usize,
        /// The character.
        char: char,
        /// What is wrong with it.
        kind: &'static str,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Parameter(String),
}

/// One sentence with placeholders.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Sentence {
    text: String,
    parts: Vec<Part>,
}

impl Sentence {
    /// The text as written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The parameters that it names, in order.
    pub fn parameters(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Parameter(name) => Some(name.as_str()),
            Part::Text(_) => None,
        })
    }

    /// The sentence about a call with these parameters.
    pub fn about(&self, params: &Object) -> String {
        self.fill(|name| params.as_map().get(name).map_or_else(|| NOT_GIVEN.to_owned(), shown))
    }

    /// The sentence about any call within these constraints.
    pub fn about_any(&self, con: &Object) -> String {
        self.fill(|name| match con.as_map().contains_key(name) {
            true => format!("({name} as constrained)"),
            false => format!("(any {name})"),
        })
    }

    fn fill(&self, mut value: impl FnMut(&str) -> String) -> String {
        let parts = self.parts.iter().map(|part| match part {
            Part::Text(text) => text.clone(),
            Part::Parameter(name) => value(name),
        });
        parts.collect()
    }
}

/// A token as it is, everything else as JSON with what cannot be seen made visible.
fn shown(value: &Value) -> String {
    let token = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '@' | ':' | '/' | '+');
    match value {
        Value::String(text) if !text.is_empty() && text.chars().all(token) => text.clone(),
        other => {
            let text = String::from_utf8(json::canonical(other)).unwrap_or_default();
            visible(&text, &scrutinise(&text))
        }
    }
}

impl FromStr for Sentence {
    type Err = SentenceError;

    fn from_str(text: &str) -> Result<Self, SentenceError> {
        if text.trim().is_empty() || text.len() > MAX_BYTES {
            return Err(SentenceError::Length);
        }
        if let Some(found) = scrutinise(text).first() {
            return Err(SentenceError::Character { at: found.at, char: found.char, kind: found.kind.as_str() });
        }
        Ok(Self { text: text.to_owned(), parts: parts(text)? })
    }
}

fn parts(text: &str) -> Result<Vec<Part>, SentenceError> {
    let mut parts = Vec::new();
    let mut rest = text;
    loop {
        let at = |inside: &str| text.len() - inside.len();
        let Some((before, behind)) = rest.split_once("{{") else {
            literal(rest, at(rest), &mut parts)?;
            return Ok(parts);
        };
        literal(before, at(rest), &mut parts)?;
        let (name, after) = behind.split_once("}}").ok_or(SentenceError::Braces(at(behind)))?;
        let is_name = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
        if name.is_empty() || !name.bytes().all(is_name) {
            return Err(SentenceError::Braces(at(behind)));
        }
        parts.push(Part::Parameter(name.to_owned()));
        rest = after;
    }
}

fn literal(text: &str, at: usize, parts: &mut Vec<Part>) -> Result<(), SentenceError> {
    match text.find(['{', '}']) {
        Some(brace) => Err(SentenceError::Braces(at + brace)),
        None if text.is_empty() => Ok(()),
        None => {
            parts.push(Part::Text(text.to_owned()));
            Ok(())
        }
    }
}

impl TryFrom<String> for Sentence {
    type Error = SentenceError;

    fn try_from(text: String) -> Result<Self, SentenceError> {
        text.parse()
    }
}

impl From<Sentence> for String {
    fn from(sentence: Sentence) -> Self {
        sentence.text
    }
}

impl fmt::Display for Sentence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn about(sentence: &str, params: Value) -> String {
        sentence.parse::<Sentence>().unwrap().about(&Object::from(params.as_object().unwrap().clone()))
    }

    #[test]
    fn a_sentence_names_what_is_given_and_what_is_not() {
        let sentence = "Pay {{amount}} to {{vendor}} ({{note}})";
        assert_eq!(about(sentence, json!({"amount": 12.5, "vendor": "V-1"})), "Pay 12.5 to V-1 (—)");
        let any = sentence.parse::<Sentence>().unwrap();
        let con: Object = serde_json::from_value(json!({"amount": {"max": 3}})).unwrap();
        assert_eq!(any.about_any(&con), "Pay (amount as constrained) to (any vendor) ((any note))");
    }

    #[test]
    fn a_value_cannot_become_part_of_the_sentence() {
        let pay = |vendor: &str| about("Pay {{vendor}}", json!({ "vendor": vendor }));
        assert_eq!(pay("V-1 and nothing else"), r#"Pay "V-1 and nothing else""#);
        assert_eq!(pay("a\nb\u{202e}"), r#"Pay "a\nb⟦U+202E⟧""#);
        assert_eq!(pay("{{amount}}"), r#"Pay "{{amount}}""#);
        assert_eq!(pay(""), r#"Pay """#);
        assert_eq!(pay("—"), "Pay \"—\"");
    }

    #[test]
    fn a_sentence_with_a_defect_is_none() {
        for good in ["Read {{a}}", "{{a}}{{b-c.d}}", "Say nothing"] {
            assert!(good.parse::<Sentence>().is_ok(), "{good}");
        }
        let long = "x".repeat(241);
        for bad in [
            "",
            " ",
            "Read {{a",
            "Read a}}",
            "Read {a}",
            "Read {{}}",
            "Read {{a b}}",
            "Read {{{a}}}",
            "Read {{a}} }",
            "Read\n{{a}}",
            "Read \u{202e}{{a}}",
            "R\u{435}ad {{a}}",
            "Ｒead",
            "⟦{{a}}\u{200b}⟧",
            &long,
        ] {
            assert!(bad.parse::<Sentence>().is_err(), "{bad:?}");
        }
    }
}
