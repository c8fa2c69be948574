//! The digest of a file as OPA's bundle signatures have it (OPA documentation, "Bundles", "Signing").
//!
//! `data.json`, `data.yaml`, `data.yml` and `.manifest` are hashed as documents: members in the order of their names, no
//! white space, strings as Go's `encoding/json` writes them without HTML escaping, numbers of JSON as they stand in the
//! text and numbers of YAML as Go writes them. Every other file is hashed as bytes. SHA-256 only.
//!
//! What is hashed here is what [`super::Bundle`] will read, so where our reading of a YAML text differs from the
//! signer's, the digests differ and the bundle is refused. Duplicate members, which readers take differently, are
//! refused before they are hashed.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use serde_json::{Number, Value};
use sha2::{Digest as _, Sha256};

use super::data;
use super::finding::{Finding, Place};
use super::manifest::MANIFEST;
use crate::domain::id::Sha256Digest;
use crate::domain::json::MAX_DEPTH;

/// The digest of the file `path`.
///
/// # Errors
/// When the file is a document that cannot be read in one way.
pub(super) fn digest(path: &str, content: &[u8]) -> Result<Sha256Digest, Finding> {
    let mut hash = Sha256::new();
    let refuse = |what: String| Finding::new(Place::file(path), what, "correct the document");
    match file_name(path) {
        "data.json" | MANIFEST => json_document(text(path, content)?, &mut hash).map_err(refuse)?,
        "data.yaml" | "data.yml" => {
            let text = text(path, content)?;
            // OPA reads a YAML file that is JSON as JSON.
            if serde_json::from_str::<&RawValue>(text).is_ok() {
                json_document(text, &mut hash).map_err(refuse)?;
            } else {
                hash_value(&data::parse_yaml(path, content)?, &mut hash);
            }
        }
        _ => hash.update(content),
    }
    Ok(Sha256Digest::from_bytes(hash.finalize().into()))
}

/// The last segment of a path.
pub(super) fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn text<'a>(path: &str, content: &'a [u8]) -> Result<&'a str, Finding> {
    std::str::from_utf8(content).map_err(|_| Finding::new(Place::file(path), "not UTF-8", "save the file as UTF-8"))
}

fn json_document(text: &str, hash: &mut Sha256) -> Result<(), String> {
    let document: &RawValue = serde_json::from_str(text).map_err(|error| error.to_string())?;
    hash_raw(document.get(), MAX_DEPTH, hash)
}

/// Hashes a JSON text that has no white space around it; numbers and literals keep their spelling.
fn hash_raw(text: &str, depth: usize, hash: &mut Sha256) -> Result<(), String> {
    let inner = || depth.checked_sub(1).ok_or_else(|| "nested too deeply".to_owned());
    let parsed = |error: serde_json::Error| error.to_string();
    match text.as_bytes().first() {
        Some(b'{') => {
            let members: Members<'_> = serde_json::from_str(text).map_err(parsed)?;
            hash.update(b"{");
            for (i, (name, value)) in members.0.iter().enumerate() {
                member_name(i, name, hash);
                hash_raw(value.get(), inner()?, hash)?;
            }
            hash.update(b"}");
        }
        Some(b'[') => {
            let items: Vec<&RawValue> = serde_json::from_str(text).map_err(parsed)?;
            hash.update(b"[");
            for (i, item) in items.iter().enumerate() {
                comma(i, hash);
                hash_raw(item.get(), inner()?, hash)?;
            }
            hash.update(b"]");
        }
        Some(b'"') => hash_string(&serde_json::from_str::<String>(text).map_err(parsed)?, hash),
        _ => hash.update(text),
    }
    Ok(())
}

/// Hashes what was YAML. Its depth was bounded when it was parsed.
fn hash_value(value: &Value, hash: &mut Sha256) {
    match value {
        Value::Object(members) => {
            let sorted: BTreeMap<&String, &Value> = members.iter().collect();
            hash.update(b"{");
            for (i, (name, value)) in sorted.into_iter().enumerate() {
                member_name(i, name, hash);
                hash_value(value, hash);
            }
            hash.update(b"}");
        }
        Value::Array(items) => {
            hash.update(b"[");
            for (i, item) in items.iter().enumerate() {
                comma(i, hash);
                hash_value(item, hash);
            }
            hash.update(b"]");
        }
        Value::String(text) => hash_string(text, hash),
        Value::Number(number) => hash.update(go_number(number)),
        Value::Bool(_) | Value::Null => hash.update(value.to_string()),
    }
}

fn member_name(i: usize, name: &str, hash: &mut Sha256) {
    comma(i, hash);
    hash_string(name, hash);
    hash.update(b":");
}

fn comma(i: usize, hash: &mut Sha256) {
    if i > 0 {
        hash.update(b",");
    }
}

/// Go escapes as serde does, and the two separators that JavaScript took for line ends.
fn hash_string(text: &str, hash: &mut Sha256) {
    let quoted = Value::from(text).to_string();
    hash.update(quoted.replace('\u{2028}', "\\u2028").replace('\u{2029}', "\\u2029"));
}

/// A number as Go's `encoding/json` writes it: as ECMAScript does, and so as RFC 8785, but for the negative zero.
fn go_number(number: &Number) -> String {
    match number.as_f64() {
        Some(float) if number.is_f64() && float == 0.0 && float.is_sign_negative() => "-0".to_owned(),
        Some(_) if number.is_f64() => {
            String::from_utf8(serde_json_canonicalizer::to_vec(number).unwrap_or_default()).unwrap_or_default()
        }
        _ => number.to_string(),
    }
}

/// The members of an object, sorted by the bytes of their names, none twice.
struct Members<'a>(BTreeMap<String, &'a RawValue>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = BTreeMap<String, &'de RawValue>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = BTreeMap::new();
                while let Some((name, value)) = map.next_entry::<String, &'de RawValue>()? {
                    if members.insert(name, value).is_some() {
                        return Err(A::Error::custom("a duplicate member name"));
                    }
                }
                Ok(members)
            }
        }
        deserializer.deserialize_map(Collect).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(path: &str, content: &str) -> String {
        digest(path, content.as_bytes()).unwrap().to_hex()
    }

    #[test]
    fn a_document_is_hashed_by_meaning_and_every_other_file_by_its_bytes() {
        assert_eq!(
            hex("a/data.json", r#"{"b": [1, true], "a": null}"#),
            hex("data.json", r#"{"a":null,"b":[1,true]}"#)
        );
        assert_eq!(hex("data.yaml", "b: [1, true]\na: null\n"), hex("data.json", r#"{"a":null,"b":[1,true]}"#));
        assert_ne!(hex("p.rego", "package p"), hex("p.rego", "package  p"));
        assert_ne!(hex("other.json", "[1]"), hex("other.json", "[ 1 ]"));
        assert_ne!(hex("data.json", "[1]"), hex("data.json", "[1.0]"));
    }

    #[test]
    fn two_readings_are_no_digest() {
        for (path, text) in [
            ("data.json", r#"{"a":1,"a":2}"#),
            ("data.json", r#"[{"a":{"b":1,"b":1}}]"#),
            ("data.json", "{} {}"),
            ("data.yaml", "a: 1\na: 2\n"),
            (MANIFEST, "{"),
        ] {
            assert!(digest(path, text.as_bytes()).is_err(), "{path} {text}");
        }
        assert!(digest("data.json", "[".repeat(1000).as_bytes()).is_err());
        assert!(digest("data.json", format!("{}1{}", "[".repeat(40), "]".repeat(40)).as_bytes()).is_err());
        assert!(digest("data.json", b"\"\xff\"").is_err());
    }
}
