//! Builtins of regorus that give another answer than OPA at an edge: the edge is decided here, the rest by regorus.
//!
//! Where OPA's own answer is not one to rely on (`floor(-0.1)` is 0, `replace` with an empty text cuts characters in
//! two) or cannot be had, the call exceeds a bound.

use regorus::Value;

use super::bounded::delegate;
use super::jwt::base64url;
use super::{Extension, Outcome, Stop, args, extension, subset};

pub(super) const TABLE: &[Extension] = &[
    extension("base64.decode", 1, |_, a| decoded(base64(args::text(a, 0)?).ok_or(Stop::Undefined)?)),
    extension("base64.is_valid", 1, |_, a| Ok(Value::from(args::text(a, 0).is_ok_and(|t| base64(t).is_some())))),
    extension("base64url.decode", 1, |_, a| decoded(base64url(args::text(a, 0)?).ok_or(Stop::Undefined)?)),
    extension("ceil", 1, |_, a| near_zero("ceil", a)),
    // regorus counts a text in UTF-16 units, OPA in characters.
    extension("count", 1, |_, a| {
        let count = match a.first() {
            Some(Value::String(text)) => text.chars().count(),
            Some(Value::Array(items)) => items.len(),
            Some(Value::Set(items)) => items.len(),
            Some(Value::Object(members)) => members.len(),
            _ => return Err(Stop::Undefined),
        };
        u64::try_from(count).map(Value::from).map_err(|_| Stop::Undefined)
    }),
    extension("floor", 1, |_, a| near_zero("floor", a)),
    extension("indexof", 2, |_, a| with_part("indexof", a)),
    extension("indexof_n", 2, |_, a| with_part("indexof_n", a)),
    extension("json.is_valid", 1, |_, a| {
        let is_json = |text| serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok();
        Ok(Value::from(args::text(a, 0).is_ok_and(is_json)))
    }),
    extension("json.marshal", 1, |_, a| match delegate("json.marshal", a)? {
        Value::String(text) => Ok(Value::from(for_html(&text))),
        _ => Err(Stop::Undefined),
    }),
    extension("lower", 1, |_, a| {
        // U+0130 is the one letter whose lower case is two, and one in Go.
        let lower = |c: char| if c == '\u{130}' { 'i' } else { c.to_lowercase().next().unwrap_or(c) };
        Ok(Value::from(args::text(a, 0)?.chars().map(lower).collect::<String>()))
    }),
    extension("object.subset", 2, |_, a| subset::object_subset(a)),
    extension("semver.compare", 2, |_, a| {
        version(args::text(a, 0)?)?;
        version(args::text(a, 1)?)?;
        delegate("semver.compare", a)
    }),
    extension("semver.is_valid", 1, |_, a| {
        if let Some(Value::String(text)) = a.first() {
            version(text)?;
        }
        delegate("semver.is_valid", a)
    }),
    extension("substring", 3, |_, a| {
        args::integer(a, 1)?;
        args::integer(a, 2)?;
        delegate("substring", a)
    }),
    extension("time.format", 1, |_, a| {
        let layout = a.first().and_then(|v| v.as_array().ok()).and_then(|v| v.get(2)).and_then(|l| l.as_string().ok());
        let zone = ["MST", "UnixDate", "RFC822", "RFC850", "RFC1123"];
        if layout.is_some_and(|l| l.contains("MST") || (zone.contains(&l.as_ref()))) {
            return Err(Stop::Bound("the name of a time zone in a layout"));
        }
        delegate("time.format", a)
    }),
    extension("time.parse_duration_ns", 1, |_, a| {
        if args::text(a, 0)?.contains(['d', 'w', 'y']) {
            return Err(Stop::Bound("a duration in days, weeks or years"));
        }
        delegate("time.parse_duration_ns", a)
    }),
    extension("time.parse_rfc3339_ns", 1, |_, a| {
        let text = args::text(a, 0)?.as_bytes();
        // Go takes upper-case `T` and `Z` only, and no leap second.
        let strict = text.get(10) == Some(&b'T') && text.last() != Some(&b'z') && text.get(17..19) != Some(b"60");
        if strict { delegate("time.parse_rfc3339_ns", a) } else { Err(Stop::Undefined) }
    }),
    extension("upper", 1, |_, a| args::text(a, 0)?.chars().map(upper).collect::<Result<String, _>>().map(Value::from)),
];

fn near_zero(name: &'static str, a: &[Value]) -> Outcome {
    match a.first() {
        Some(Value::Number(n)) if n.as_f64().is_some_and(|n| n > -1.0 && n < 0.0) => {
            Err(Stop::Bound("a number between -1 and 0, which OPA rounds the wrong way"))
        }
        _ => delegate(name, a),
    }
}

/// OPA does not look for the empty text.
fn with_part(name: &'static str, a: &[Value]) -> Outcome {
    if args::text(a, 1)?.is_empty() { Err(Stop::Undefined) } else { delegate(name, a) }
}

/// OPA keeps bytes that are no text as a text; here there is no such text.
fn decoded(bytes: Vec<u8>) -> Outcome {
    String::from_utf8(bytes).map(Value::from).map_err(|_| Stop::Bound("bytes that are not UTF-8"))
}

/// The standard alphabet with its padding (RFC 4648 §4).
pub(super) fn base64(text: &str) -> Option<Vec<u8>> {
    let text: String = text.chars().filter(|c| !matches!(c, '\r' | '\n')).collect();
    let standard = text.len().is_multiple_of(4) && !text.contains(['-', '_']);
    standard.then(|| base64url(&text.replace('+', "-").replace('/', "_")))?
}

/// Go's JSON is safe inside of HTML.
fn for_html(json: &str) -> String {
    json.replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('&', "\\u0026")
        .replace('\u{2028}', "\\u2028")
        .replace('\u{2029}', "\\u2029")
}

/// OPA passes over a `v` in front.
fn version(text: &str) -> Result<(), Stop> {
    if text.starts_with(['v', 'V']) { Err(Stop::Bound("a version with a `v` in front")) } else { Ok(()) }
}

/// Go maps letter by letter; a letter without an upper case of one letter stays.
fn upper(c: char) -> Result<char, Stop> {
    let mut upper = c.to_uppercase();
    match (upper.next(), upper.next()) {
        (Some(upper), None) => Ok(upper),
        _ if matches!(c, '\u{1f80}'..='\u{1fff}') => Err(Stop::Bound("a Greek letter with two marks")),
        _ => Ok(c),
    }
}
