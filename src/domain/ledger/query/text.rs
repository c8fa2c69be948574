//! A query as one text: `key=value` with blanks between, values with blanks in `"…"`.

use std::fmt;
use std::str::FromStr;

use super::{Draft, MAX_QUERY_BYTES, Query, QueryError};

impl FromStr for Query {
    type Err = QueryError;

    fn from_str(text: &str) -> Result<Self, QueryError> {
        if text.len() > MAX_QUERY_BYTES {
            return Err(QueryError::TooLong);
        }
        let mut draft = Draft::default();
        let mut rest = text;
        loop {
            rest = rest.trim_start();
            // Columns count characters, as editors do.
            let at = text.chars().count() - rest.chars().count() + 1;
            if rest.is_empty() {
                return draft.finish();
            }
            let (name, behind) = rest.split_once('=').ok_or(QueryError::NotAPair { at })?;
            if name.is_empty() || name.contains(|c: char| c.is_whitespace() || c == '"') {
                return Err(QueryError::NotAPair { at });
            }
            let (value, behind) = value(behind, at)?;
            draft.set(Some(at), name, &value)?;
            rest = behind;
        }
    }
}

/// The value at the start of `text`, and what is behind it.
fn value(text: &str, at: usize) -> Result<(String, &str), QueryError> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(char::is_whitespace).unwrap_or(text.len());
        let (value, behind) = text.split_at(end);
        return if value.contains('"') { Err(QueryError::Quote { at }) } else { Ok((value.to_owned(), behind)) };
    };
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    while let Some((offset, c)) = chars.next() {
        match c {
            '"' => {
                let behind = quoted.get(offset + 1..).unwrap_or_default();
                let ends = behind.is_empty() || behind.starts_with(char::is_whitespace);
                return if ends { Ok((value, behind)) } else { Err(QueryError::Quote { at }) };
            }
            '\\' => match chars.next() {
                Some((_, c @ ('"' | '\\'))) => value.push(c),
                _ => return Err(QueryError::Quote { at }),
            },
            c => value.push(c),
        }
    }
    Err(QueryError::Quote { at })
}

impl fmt::Display for Query {
    /// The one text that says the same: keys in their order, times in UTC, quotes where they must be.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, (key, value)) in self.pairs().into_iter().enumerate() {
            let blank = if position == 0 { "" } else { " " };
            if value.contains(|c: char| c.is_whitespace() || c == '"') {
                write!(f, "{blank}{key}=\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))?;
            } else {
                write!(f, "{blank}{key}={value}")?;
            }
        }
        Ok(())
    }
}
