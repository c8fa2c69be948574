//! Text that a person will read before agreeing to something.
//!
//! [`scrutinise`] finds what could make her see something else than what is there. [`PlainText`] refuses it; what has to
//! be shown whatever it is (a call's parameters) is shown through [`visible`].

mod scripts;
mod scrutiny;

#[cfg(test)]
pub(crate) mod tests;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

pub(super) use scripts::is_ignorable;
pub use scrutiny::{TextDefect, TextFinding, scrutinise, visible};

/// The longest plain text, in bytes.
const MAX_BYTES: usize = 512;

/// One line of at most 512 bytes in Normalization Form C without characters that hide, reorder or imitate others.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PlainText(String);

/// A text that could look like something else than it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PlainTextError {
    /// Nothing to read, or too much.
    #[error("expected 1 to {MAX_BYTES} bytes of text")]
    Length,
    /// A character that a reader may not see for what it is.
    #[error(
        "expected plain text: U+{:04X} at byte {} is refused ({}: {})",
        u32::from(.0.char), .0.at, .0.kind.as_str(), .0.kind.explain()
    )]
    Character(TextFinding),
}

impl PlainText {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PlainText {
    type Err = PlainTextError;

    fn from_str(text: &str) -> Result<Self, PlainTextError> {
        if text.trim().is_empty() || text.len() > MAX_BYTES {
            return Err(PlainTextError::Length);
        }
        match scrutinise(text).into_iter().find(refused) {
            Some(finding) => Err(PlainTextError::Character(finding)),
            None => Ok(Self(text.to_owned())),
        }
    }
}

/// Everything that is found but what honest texts have: French no-break spaces, the direction of Hebrew and Arabic, and
/// letters of another script that look like nothing else (`ΔT`).
fn refused(finding: &TextFinding) -> bool {
    match finding.kind {
        TextDefect::MixedDirection | TextDefect::MixedScript => false,
        TextDefect::Compatibility => !matches!(finding.char, '\u{a0}' | '\u{202f}'),
        _ => true,
    }
}

impl TryFrom<String> for PlainText {
    type Error = PlainTextError;

    fn try_from(text: String) -> Result<Self, PlainTextError> {
        text.parse()
    }
}

impl From<PlainText> for String {
    fn from(text: PlainText) -> Self {
        text.0
    }
}

impl fmt::Display for PlainText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
