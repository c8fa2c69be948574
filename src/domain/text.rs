//! Text that a person will read before agreeing to something.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::action::is_invisible;

/// One line of at most 512 bytes without control characters and without characters that hide or reorder others.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PlainText(String);

/// A text that could look like something else than it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected 1 to 512 bytes of text without control, invisible or direction-changing characters")]
pub struct PlainTextError;

impl PlainText {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PlainText {
    type Err = PlainTextError;

    fn from_str(text: &str) -> Result<Self, PlainTextError> {
        let plain = |c: char| !c.is_control() && !is_invisible(c);
        if text.trim().is_empty() || text.len() > 512 || !text.chars().all(plain) {
            return Err(PlainTextError);
        }
        Ok(Self(text.to_owned()))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_hides_something_is_refused() {
        assert!("Grundbuch Österreich, Vertrag §12".parse::<PlainText>().is_ok());
        for bad in ["", "   ", "a\nb", "a\u{202e}b", "a\u{200b}b", "a\0b", "\u{e0041}", &"x".repeat(513)] {
            assert!(bad.parse::<PlainText>().is_err(), "{bad:?}");
        }
    }
}
