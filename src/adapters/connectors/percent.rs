//! Percent-encoding (RFC 3986 §2.1): decoded exactly once, and only where the result has one reading.

use std::fmt::Write as _;

use super::refusal::{PathFault, QueryFault};
use crate::domain::action::{CallPath, is_invisible};

/// Decodes the path of a request target.
///
/// Refused besides what [`CallPath`] refuses: a character that RFC 3986 §3.3 does not allow in a path, a broken escape,
/// and an escape of a character that would read differently when decoded twice or earlier: `/ \ . % ; ? #`, controls.
pub(super) fn decode_path(raw: &str) -> Result<CallPath, PathFault> {
    if !raw.starts_with('/') {
        return Err(PathFault::NotAbsolute);
    }
    if raw.len() > 3 * 1024 {
        return Err(PathFault::TooLong);
    }
    let mut bytes = Vec::with_capacity(raw.len());
    let mut rest = raw.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let decoded = escape(&mut rest).ok_or(PathFault::BrokenEscape)?;
            if matches!(decoded, b'/' | b'\\' | b'.' | b'%' | b';' | b'?' | b'#') || decoded.is_ascii_control() {
                return Err(PathFault::EscapedDelimiter);
            }
            bytes.push(decoded);
        } else if byte == b'/' || is_pchar(byte) {
            bytes.push(byte);
        } else {
            return Err(PathFault::Character);
        }
    }
    let path = String::from_utf8(bytes).map_err(|_| PathFault::NotUtf8)?;
    path.parse().map_err(|_| PathFault::NotPlain)
}

/// Decodes the value of a query parameter. `+` has two readings and is refused: a space is `%20`, a plus `%2B`.
pub(super) fn decode_query_value(raw: &str) -> Result<String, QueryFault> {
    let mut bytes = Vec::with_capacity(raw.len());
    let mut rest = raw.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'%' => bytes.push(escape(&mut rest).ok_or(QueryFault::BrokenEscape)?),
            b'+' => return Err(QueryFault::Plus),
            b'/' | b'?' => bytes.push(byte),
            _ if is_pchar(byte) && byte != b'=' => bytes.push(byte),
            _ => return Err(QueryFault::Character),
        }
    }
    let value = String::from_utf8(bytes).map_err(|_| QueryFault::NotUtf8)?;
    check_query_value(&value)?;
    Ok(value)
}

/// What a decoded value may not hold: controls, invisible characters, and what looks encoded once more.
pub(super) fn check_query_value(value: &str) -> Result<(), QueryFault> {
    if value.chars().any(|c| c.is_control() || is_invisible(c)) {
        return Err(QueryFault::Character);
    }
    let looks_encoded = value
        .as_bytes()
        .windows(3)
        .any(|w| matches!(w, [b'%', a, b] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit()));
    if looks_encoded { Err(QueryFault::DoubleEncoding) } else { Ok(()) }
}

/// The path as it is sent, in its one encoding.
pub(super) fn encode_path(path: &CallPath) -> String {
    let mut out = String::with_capacity(path.as_str().len() + 16);
    for segment in path.segments() {
        out.push('/');
        encode_into(&mut out, segment);
    }
    out
}

/// Appends `text` with everything but unreserved characters and `:@` encoded in upper-case hexadecimal.
pub(super) fn encode_into(out: &mut String, text: &str) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b':' | b'@') {
            out.push(char::from(byte));
        } else {
            // Writing to a String does not fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
}

fn escape(rest: &mut impl Iterator<Item = u8>) -> Option<u8> {
    let mut digit = || rest.next().and_then(|b| char::from(b).to_digit(16)).and_then(|d| u8::try_from(d).ok());
    Some(digit()? << 4 | digit()?)
}

/// RFC 3986 §3.3 `pchar` without `%`, and without `;`, which older servers cut a path at.
fn is_pchar(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'-' | b'.'
                | b'_'
                | b'~'
                | b'!'
                | b'$'
                | b'&'
                | b'\''
                | b'('
                | b')'
                | b'*'
                | b'+'
                | b','
                | b'='
                | b':'
                | b'@'
        )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_escape_is_decoded_once_or_refused() {
        assert_eq!(decode_path("/a%20b/%C3%A9").unwrap().as_str(), "/a b/é");
        assert_eq!(decode_query_value("50%25%20%26%2B%2F").unwrap(), "50% &+/");
        assert_eq!(decode_query_value("%252f"), Err(QueryFault::DoubleEncoding));
        assert_eq!(decode_query_value("a=b"), Err(QueryFault::Character));
    }

    proptest! {
        #[test]
        fn what_is_encoded_decodes_to_the_same(path in "(/[^\\x00/]{1,8}){1,4}", value in "[^\\x00]{0,12}") {
            if let Ok(path) = path.parse::<CallPath>() {
                prop_assert_eq!(decode_path(&encode_path(&path)), Ok(path));
            }
            if check_query_value(&value).is_ok() {
                let mut encoded = String::new();
                encode_into(&mut encoded, &value);
                prop_assert_eq!(decode_query_value(&encoded), Ok(value));
            }
        }

        #[test]
        fn any_text_is_refused_or_stays_what_it_became(raw in "/[ -~]{0,40}") {
            if let Ok(path) = decode_path(&raw) {
                prop_assert_eq!(decode_path(&encode_path(&path)), Ok(path));
            }
        }
    }
}
