//! Hostile JSON in, canonical JSON out.
//!
//! `parse` accepts I-JSON (RFC 7493) within limits: no duplicate member, no number that a double cannot hold exactly,
//! no NUL, bounded depth and node count, nothing after the value. `canonical` writes RFC 8785. Numbers are normalised
//! while parsing (`1.0` and `1e0` become `1`), so that two texts with the same canonical form are the same value to
//! every later reader. Types are read from it by the names of their members and never by their order.

mod canonical;
mod named;

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Number, Value};

use super::id::Sha256Digest;
pub use canonical::canonical;
use named::Named;

/// The deepest nesting that any door accepts.
pub const MAX_DEPTH: usize = 32;
/// The most values (members and elements together) that one document may hold.
pub const MAX_NODES: usize = 20_000;
/// 2^53 - 1, the largest integer that every JSON reader agrees on (RFC 7493 §2.2).
const MAX_SAFE_INTEGER: u64 = 9_007_199_254_740_991;

/// Why a text is not acceptable JSON. Names the place, never repeats the content.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail} at {}", if .pointer.is_empty() { "the top" } else { .pointer })]
pub struct JsonError {
    /// RFC 6901 pointer to the offending value; empty for the document itself.
    pub pointer: String,
    /// What is wrong there.
    pub detail: String,
}

/// Parses strict JSON into a value.
///
/// # Errors
/// When the text is not I-JSON within the limits of this module.
pub fn parse(bytes: &[u8]) -> Result<Value, JsonError> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let budget = Cell::new(MAX_NODES);
    let seed = Strict { depth: MAX_DEPTH, budget: &budget };
    let mut track = serde_path_to_error::Track::new();
    let value = seed
        .deserialize(serde_path_to_error::Deserializer::new(&mut deserializer, &mut track))
        .map_err(|error| JsonError { pointer: pointer(&track.path()), detail: plain(&error) })?;
    deserializer.end().map_err(|error| JsonError { pointer: String::new(), detail: plain(&error) })?;
    Ok(value)
}

/// A [`JsonError`] with its place in a text that people write: line and column, both counted from 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{line}:{column}: {error}")]
pub struct PlacedJsonError {
    /// The line.
    pub line: usize,
    /// The column, in bytes.
    pub column: usize,
    /// What is wrong.
    pub error: JsonError,
}

/// Parses a configured document: as strict as [`parse`], with a budget of values of the caller's choice (a catalogue
/// of 10,000 acts has more than [`MAX_NODES`]), and with the place of the error.
///
/// # Errors
/// As [`parse`].
pub fn parse_document(bytes: &[u8], max_nodes: usize) -> Result<Value, PlacedJsonError> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let budget = Cell::new(max_nodes);
    let seed = Strict { depth: MAX_DEPTH, budget: &budget };
    let mut track = serde_path_to_error::Track::new();
    let parsed = seed.deserialize(serde_path_to_error::Deserializer::new(&mut deserializer, &mut track));
    parsed.and_then(|value| deserializer.end().map(|()| value)).map_err(|error| PlacedJsonError {
        line: error.line().max(1),
        column: error.column().max(1),
        error: JsonError { pointer: pointer(&track.path()), detail: plain(&error) },
    })
}

/// Parses strict JSON into a type; the error points at the member that does not fit.
///
/// # Errors
/// As [`parse`], and when the value does not have the shape of `T`.
pub fn parse_as<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, JsonError> {
    read(parse(bytes)?)
}

/// Reads a type from a value; the error points at the member that does not fit.
///
/// # Errors
/// When the value does not have the shape of `T`.
pub fn read<T: DeserializeOwned>(value: Value) -> Result<T, JsonError> {
    serde_path_to_error::deserialize(Named(value))
        .map_err(|error| JsonError { pointer: pointer(error.path()), detail: plain(error.inner()) })
}

/// Reads a type from JSON text in one pass, for texts whose numbers and depth their type bounds: as `serde_json` does,
/// but a struct only from an object.
///
/// # Errors
/// As `serde_json::from_slice`, and when a struct is written as an array.
pub fn from_slice<T: DeserializeOwned>(bytes: &[u8]) -> serde_json::Result<T> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = T::deserialize(Named(&mut deserializer))?;
    deserializer.end().map(|()| value)
}

/// `sha-256:` of the canonical form.
pub fn digest(value: &Value) -> Sha256Digest {
    Sha256Digest::of(&canonical(value))
}

fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    let mut out = String::new();
    for segment in path.iter() {
        match segment {
            Segment::Seq { index } => out.push_str(&format!("/{index}")),
            Segment::Map { key } => {
                out.push('/');
                out.push_str(&key.replace('~', "~0").replace('/', "~1"));
            }
            Segment::Enum { .. } | Segment::Unknown => {}
        }
    }
    out.truncate(out.floor_char_boundary(256));
    out
}

/// serde_json's message without its position, which names bytes that the caller cannot see.
fn plain(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.rsplit_once(" at line ").map_or(text.as_str(), |(message, _)| message).chars().take(300).collect()
}

/// A JSON object whose members were checked as [`parse`] checks them, at whatever depth it stands.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(transparent)]
pub struct Object(Map<String, Value>);

impl Object {
    /// The members.
    pub fn as_map(&self) -> &Map<String, Value> {
        &self.0
    }

    /// The members as an owned value.
    pub fn to_value(&self) -> Value {
        Value::Object(self.0.clone())
    }

    /// Whether there is no member.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<Map<String, Value>> for Object {
    fn from(map: Map<String, Value>) -> Self {
        Self(map)
    }
}

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let budget = Cell::new(MAX_NODES);
        match (Strict { depth: MAX_DEPTH, budget: &budget }).deserialize(deserializer)? {
            Value::Object(map) => Ok(Self(map)),
            _ => Err(D::Error::custom("expected an object")),
        }
    }
}

/// Builds a [`Value`] and refuses what I-JSON refuses.
#[derive(Clone, Copy)]
struct Strict<'b> {
    depth: usize,
    budget: &'b Cell<usize>,
}

impl Strict<'_> {
    fn spend<E: serde::de::Error>(self) -> Result<(), E> {
        let left = self.budget.get().checked_sub(1).ok_or_else(|| E::custom("too many values"))?;
        self.budget.set(left);
        Ok(())
    }

    fn deeper<E: serde::de::Error>(self) -> Result<Self, E> {
        let depth = self.depth.checked_sub(1).ok_or_else(|| E::custom("nested too deeply"))?;
        Ok(Self { depth, ..self })
    }
}

fn text<E: serde::de::Error>(text: &str) -> Result<(), E> {
    if text.contains('\0') { Err(E::custom("a NUL character")) } else { Ok(()) }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        self.spend()?;
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Value, E> {
        if value > MAX_SAFE_INTEGER {
            return Err(E::custom("an integer beyond 2^53 - 1"));
        }
        Ok(Value::Number(value.into()))
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Value, E> {
        if value.unsigned_abs() > MAX_SAFE_INTEGER {
            return Err(E::custom("an integer beyond 2^53 - 1"));
        }
        Ok(Value::Number(value.into()))
    }

    #[expect(clippy::cast_possible_truncation, reason = "the range is checked one line above")]
    #[expect(clippy::cast_precision_loss, reason = "2^53 - 1 is exact in a double")]
    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        if value.fract() == 0.0 {
            if value.abs() > MAX_SAFE_INTEGER as f64 {
                return Err(E::custom("an integer beyond 2^53 - 1"));
            }
            return Ok(Value::Number((value as i64).into()));
        }
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("a number that is not finite"))
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<Value, E> {
        text(value)?;
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E: serde::de::Error>(self, value: String) -> Result<Value, E> {
        text(&value)?;
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut items = Vec::new();
        while let Some(item) = seq.next_element_seed(inner)? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut members = Map::new();
        while let Some(key) = map.next_key::<String>()? {
            text(&key)?;
            if members.contains_key(&key) {
                return Err(A::Error::custom("a duplicate member name"));
            }
            let value = map.next_value_seed(inner)?;
            members.insert(key, value);
        }
        Ok(Value::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn what_two_readers_could_read_differently_is_refused_with_its_place() {
        for (bytes, pointer) in [
            (&br#"{"a":1,"a":2}"#[..], ""),
            (br#"{"a":{"b":1,"b":1}}"#, "/a"),
            (br#"{"a":1} x"#, ""),
            (br#"{"a":[1,9007199254740992]}"#, "/a/1"),
            (br#"{"a":1e400}"#, "/a"),
            (br#"{"a":"x\u0000"}"#, "/a"),
            (b"{\"a\":\"\xff\"}", "/a"),
            (b"\xef\xbb\xbf{}", ""),
            (b"", ""),
        ] {
            let error = parse(bytes).unwrap_err();
            assert_eq!(error.pointer, pointer, "{} {error:?}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn depth_and_node_count_are_bounded() {
        let nested = |n: usize| format!("{}1{}", "[".repeat(n), "]".repeat(n));
        assert!(parse(nested(MAX_DEPTH).as_bytes()).is_ok());
        assert!(parse(nested(MAX_DEPTH + 1).as_bytes()).is_err());
        assert!(parse(nested(100_000).as_bytes()).is_err());
        assert!(parse(format!("[{}]", vec!["1"; MAX_NODES].join(",")).as_bytes()).is_err());
    }

    #[test]
    fn a_configured_document_is_refused_with_line_and_column() {
        let error = parse_document(b"{\n \"a\": 1,\n \"a\": 2}", 10).unwrap_err();
        assert_eq!((error.line, error.error.detail.as_str()), (3, "a duplicate member name"));
        assert!(parse_document(b"[1,2,3]", 4).is_ok());
        assert!(parse_document(b"[1,2,3]", 3).is_err());
        assert!(parse_document(b"{} x", 3).is_err());
    }

    #[test]
    fn numbers_of_one_value_have_one_form() {
        let forms = [&b"1"[..], b"1.0", b"1e0", b"10e-1"];
        for form in forms {
            assert_eq!(canonical(&parse(form).unwrap()), b"1");
        }
        assert_eq!(canonical(&parse(b"-0.0").unwrap()), b"0");
        assert_eq!(canonical(&parse(b"[12.50,1e-7]").unwrap()), b"[12.5,1e-7]");
    }

    #[test]
    fn canonical_json_is_that_of_rfc_8785() {
        let value = parse("{\"b\":[ 1 ],\"\\u20ac\":\"\u{7f}\\n\",\"a\":{\"z\":null,\"y\":true}}".as_bytes()).unwrap();
        assert_eq!(
            String::from_utf8(canonical(&value)).unwrap(),
            "{\"a\":{\"y\":true,\"z\":null},\"b\":[1],\"\u{20ac}\":\"\\n\"}".replace("\"\\n\"", "\"\u{7f}\\n\"")
        );
    }

    #[test]
    fn a_shape_error_points_at_the_member() {
        #[derive(Debug, Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Shape {
            #[allow(dead_code)]
            items: Vec<u32>,
        }
        assert_eq!(parse_as::<Shape>(br#"{"items":[1,"2"]}"#).unwrap_err().pointer, "/items/1");
        assert!(parse_as::<Shape>(br#"{"items":[],"x":1}"#).unwrap_err().detail.contains("unknown field"));
    }

    pub(super) fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            (-9_007_199_254_740_991_i64..=9_007_199_254_740_991).prop_map(Value::from),
            (-1e9..1e9_f64).prop_map(|f| parse(json!(f).to_string().as_bytes()).unwrap()),
            "[^\0]{0,12}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 48, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::hash_map("[^\0]{0,6}", inner, 0..6)
                    .prop_map(|m| Value::Object(m.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn canonical_form_is_a_fixed_point_and_means_the_same(value in any_json()) {
            let bytes = canonical(&value);
            let again = parse(&bytes).unwrap();
            prop_assert_eq!(&again, &value);
            prop_assert_eq!(canonical(&again), bytes);
        }
    }
}
