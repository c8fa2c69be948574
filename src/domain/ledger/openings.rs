//! What opens the commitments of an entry: a salt and clear values, kept beside the log so that they can be erased.
//!
//! ```text
//! commitment = SHA-256(salt || 0x00 || pointer || 0x00 || canonical value)
//! ```
//!
//! Which values are committed to is not here ([`RecordedInput`](super::RecordedInput)), nor for how long openings are kept.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Map, Value};

use crate::domain::id::Sha256Digest;
use crate::domain::json;

/// The digest of the call's parameters.
pub(super) const REQUEST_DIGEST: &str = "/request/digest";
/// The digest of the upstream's answer.
const RESPONSE_DIGEST: &str = "/response/digest";
/// The one member of what stands in the place of a value.
pub(super) const COMMITMENT: &str = "commitment";

/// Random bytes that nobody can guess a commitment without. One salt a decision.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Salt([u8; 16]);

impl Salt {
    /// From sixteen bytes of a cryptographic generator, or from storage.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// As stored.
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// The commitment that an outcome has in the place of the digest of its answer. Nothing but the salt opens it, so it
    /// is erased with the openings of the decision.
    pub fn commit_response(self, digest: Sha256Digest) -> Sha256Digest {
        commitment(self, RESPONSE_DIGEST, &Value::String(digest.to_string()))
    }
}

impl fmt::Debug for Salt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Salt(..)")
    }
}

/// What opens the commitments of one decision: the salt and the clear values by their pointers. Beside them whole
/// documents that the entry has the digest of, because they too are erased with the openings.
#[derive(Clone, PartialEq, Eq)]
pub struct Openings {
    pub(super) salt: Salt,
    pub(super) values: BTreeMap<String, Value>,
    pub(super) documents: BTreeMap<String, String>,
}

/// Before the name of a document among stored openings; a pointer starts with `/`.
const DOCUMENT: char = '#';

/// A signed document that an entry rests on, kept with its openings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum KeptDocument {
    /// The mandate that the entry says was spent, with the approvals in it.
    Mandate,
    /// The statement that the entry says counts.
    Statement,
}

impl KeptDocument {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Mandate, Self::Statement];

    /// Its name among openings.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Mandate => "mandate",
            Self::Statement => "statement",
        }
    }

    /// The member of `detail` that has its digest, SHA-256 over the compact JWS.
    pub fn digest_member(self) -> &'static str {
        match self {
            Self::Mandate => "mandate_digest",
            Self::Statement => "statement_digest",
        }
    }
}

impl Openings {
    /// Openings as stored: an object of values by pointer. None if the text is not one.
    pub fn from_stored(salt: Salt, values: &[u8]) -> Option<Self> {
        let stored: BTreeMap<String, Value> = serde_json::from_slice(values).ok()?;
        let mut read = Self::none(salt);
        for (name, value) in stored {
            match (name.strip_prefix(DOCUMENT), value) {
                (Some(document), Value::String(text)) => drop(read.documents.insert(document.to_owned(), text)),
                (Some(_), _) => return None,
                (None, value) => drop(read.values.insert(name, value)),
            }
        }
        Some(read)
    }

    /// Openings of nothing, to keep a document in.
    pub fn none(salt: Salt) -> Self {
        Self { salt, values: BTreeMap::new(), documents: BTreeMap::new() }
    }

    /// The commitment that an entry has in the place of its request's digest, which is kept for whoever may open it.
    #[must_use]
    pub fn commit_request(&mut self, digest: Sha256Digest) -> Sha256Digest {
        let clear = Value::String(digest.to_string());
        let commitment = commitment(self.salt, REQUEST_DIGEST, &clear);
        self.values.insert(REQUEST_DIGEST.to_owned(), clear);
        commitment
    }

    /// The digest of the request that `commitment` is of; none if it is of another, or was not kept.
    pub fn request(&self, commitment: Sha256Digest) -> Option<Sha256Digest> {
        let clear = self.values.get(REQUEST_DIGEST)?;
        let digest = clear.as_str()?.parse().ok()?;
        (self::commitment(self.salt, REQUEST_DIGEST, clear) == commitment).then_some(digest)
    }

    /// What opens the request's digest alone, for an entry that says nothing else that is committed to.
    pub fn of_request(&self) -> Option<Self> {
        let (pointer, clear) = self.values.get_key_value(REQUEST_DIGEST)?;
        let values = BTreeMap::from([(pointer.clone(), clear.clone())]);
        Some(Self { salt: self.salt, values, documents: BTreeMap::new() })
    }

    /// Keeps a document beside the values.
    #[must_use]
    pub fn with(mut self, document: KeptDocument, jws: &str) -> Self {
        self.documents.insert(document.as_str().to_owned(), jws.to_owned());
        self
    }

    /// A document that was kept.
    pub fn document(&self, document: KeptDocument) -> Option<&str> {
        self.documents.get(document.as_str()).map(String::as_str)
    }

    /// The salt.
    pub fn salt(&self) -> Salt {
        self.salt
    }

    /// The clear values by pointer and the documents, as stored.
    pub fn to_stored(&self) -> Vec<u8> {
        let mut stored = self.values.clone();
        let documents =
            self.documents.iter().map(|(name, jws)| (format!("{DOCUMENT}{name}"), Value::from(jws.as_str())));
        stored.extend(documents);
        // INVARIANT: strings and values serialise.
        serde_json::to_vec(&stored).unwrap_or_default()
    }

    /// The clear values by pointer.
    pub fn values(&self) -> &BTreeMap<String, Value> {
        &self.values
    }

    pub(super) fn commit(&mut self, pointer: String, value: &mut Value) {
        let commitment = commitment(self.salt, &pointer, value);
        let hidden = Value::Object(Map::from_iter([(COMMITMENT.to_owned(), Value::String(commitment.to_string()))]));
        self.values.insert(pointer, std::mem::replace(value, hidden));
    }
}

/// Clear values are not for logs.
impl fmt::Debug for Openings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Openings").field("values", &self.values.len()).finish_non_exhaustive()
    }
}

pub(super) fn commitment(salt: Salt, pointer: &str, value: &Value) -> Sha256Digest {
    let mut bytes = Vec::with_capacity(128);
    bytes.extend_from_slice(salt.as_bytes());
    bytes.push(0);
    bytes.extend_from_slice(pointer.as_bytes());
    bytes.push(0);
    bytes.extend_from_slice(&json::canonical(value));
    Sha256Digest::of(&bytes)
}
