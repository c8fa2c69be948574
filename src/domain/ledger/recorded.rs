//! What the record keeps of a question to the policy: enough to ask it again, without the values that nobody may read.
//!
//! ```text
//! input, canonical (RFC 8785) ─▶ values that are not loggable become {"commitment":"sha-256:…"}  ─▶ the entry
//!                               └▶ salt and clear values by pointer: the openings               ─▶ a table of their own
//! commitment = SHA-256(salt || 0x00 || pointer || 0x00 || canonical value)
//! ```
//!
//! The entry is a leaf of the tree and stays for good; the openings can be erased, and what was committed to can then be
//! neither read nor guessed, because the salt is gone with them. Does not say for how long openings are kept.
//!
//! INVARIANT: [`RecordedInput::open`] gives the input that was committed to, or says why not; it never gives another.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::entry::Subject;
use crate::domain::id::Sha256Digest;
use crate::domain::json;

/// The largest input that is recorded, with clear values or with commitments. Of a larger one the digest is recorded.
pub const MAX_RECORDED_BYTES: usize = 32 * 1024;
/// Objects whose members are values of parameters, or constraints on them, by the parameters' names.
const BY_PARAMETER: [&str; 2] = ["/request/params", "/poa/con"];
/// Members of the ground that are free text or a person's name, and digests from which parameters could be guessed.
const COMMITTED: [&str; 6] = [
    "/poa/leg/description",
    "/poa/leg/purpose",
    "/poa/leg/approval_ref",
    "/poa/leg/accountable_party/display_name",
    REQUEST_DIGEST,
    "/poa/req/digest",
];
/// The digest of the call's parameters.
const REQUEST_DIGEST: &str = "/request/digest";
const COMMITMENT: &str = "commitment";

/// The rule that was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum PolicyRule {
    /// `data.atb.poa.decision`.
    #[serde(rename = "poa.decision")]
    PoaDecision,
    /// `data.atb.issue.decision`.
    #[serde(rename = "issue.decision")]
    IssueDecision,
    /// `data.atb.approval.assessment`.
    #[serde(rename = "approval.assessment")]
    ApprovalAssessment,
}

impl PolicyRule {
    /// Every rule that ATB asks.
    pub const ALL: [Self; 3] = [Self::PoaDecision, Self::IssueDecision, Self::ApprovalAssessment];

    /// The name as written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PoaDecision => "poa.decision",
            Self::IssueDecision => "issue.decision",
            Self::ApprovalAssessment => "approval.assessment",
        }
    }

    /// The rule of this path as OPA's decision logs write it, `atb/poa/decision`.
    pub fn at_path(path: &str) -> Option<Self> {
        let name = path.trim_matches('/').strip_prefix("atb/")?.replace('/', ".");
        Self::ALL.into_iter().find(|rule| rule.as_str() == name)
    }
}

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
    salt: Salt,
    values: BTreeMap<String, Value>,
    documents: BTreeMap<String, String>,
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

    fn commit(&mut self, pointer: String, value: &mut Value) {
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

fn commitment(salt: Salt, pointer: &str, value: &Value) -> Sha256Digest {
    let mut bytes = Vec::with_capacity(128);
    bytes.extend_from_slice(salt.as_bytes());
    bytes.push(0);
    bytes.extend_from_slice(pointer.as_bytes());
    bytes.push(0);
    bytes.extend_from_slice(&json::canonical(value));
    Sha256Digest::of(&bytes)
}

fn is_commitment(value: &Value) -> bool {
    value.as_object().is_some_and(|members| members.len() == 1 && members.contains_key(COMMITMENT))
}

/// The policy's input as it stands on record: canonical JSON with commitments.
#[derive(Clone)]
pub struct RecordedInput(Arc<RawValue>);

/// Why a recorded input cannot be asked again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// There is no opening, or none of this value.
    #[error("the opening of `{0}` is not there any more")]
    Erased(String),
    /// The opening gives another commitment than the one on record.
    #[error("the opening of `{0}` is not the one that was committed to")]
    Tampered(String),
}

impl RecordedInput {
    /// The input with every value replaced that is not of a `loggable` parameter, and what opens them. None for a text
    /// that is not JSON.
    pub fn commit(input: &str, loggable: &BTreeSet<String>, salt: Salt) -> Option<(Self, Openings)> {
        let mut document: Value = serde_json::from_str(input).ok()?;
        let mut openings = Openings::none(salt);
        for holder in BY_PARAMETER {
            let Some(Value::Object(members)) = document.pointer_mut(holder) else { continue };
            for (name, value) in members.iter_mut() {
                // A clear value that looks like a commitment would be taken for one.
                if !loggable.contains(name) || is_commitment(value) {
                    openings.commit(child(holder, name), value);
                }
            }
        }
        for pointer in COMMITTED {
            if let Some(value) = document.pointer_mut(pointer) {
                openings.commit(pointer.to_owned(), value);
            }
        }
        Some((Self::canonical(&document)?, openings))
    }

    /// The document, which may hold commitments already.
    pub fn canonical(document: &Value) -> Option<Self> {
        let text = String::from_utf8(json::canonical(document)).ok()?;
        RawValue::from_string(text).ok().map(|raw| Self(raw.into()))
    }

    /// The text.
    pub fn as_json(&self) -> &str {
        self.0.get()
    }

    /// The input that was asked, canonical.
    ///
    /// # Errors
    /// When a commitment in it has no opening, or not its own.
    pub fn open(&self, openings: Option<&Openings>) -> Result<String, OpenError> {
        let mut document: Value = serde_json::from_str(self.as_json()).unwrap_or_default();
        for holder in BY_PARAMETER {
            let Some(Value::Object(members)) = document.pointer_mut(holder) else { continue };
            for (name, value) in members.iter_mut().filter(|(_, value)| is_commitment(value)) {
                open(child(holder, name), value, openings)?;
            }
        }
        for pointer in COMMITTED {
            if let Some(value) = document.pointer_mut(pointer)
                && is_commitment(value)
            {
                open(pointer.to_owned(), value, openings)?;
            }
        }
        Ok(String::from_utf8(json::canonical(&document)).unwrap_or_default())
    }
}

fn open(pointer: String, value: &mut Value, openings: Option<&Openings>) -> Result<(), OpenError> {
    let opening = openings.and_then(|openings| Some((openings.salt, openings.values.get(&pointer)?)));
    let Some((salt, clear)) = opening else { return Err(OpenError::Erased(pointer)) };
    let found = commitment(salt, &pointer, clear).to_string();
    if value.get(COMMITMENT).and_then(Value::as_str) != Some(found.as_str()) {
        return Err(OpenError::Tampered(pointer));
    }
    *value = clear.clone();
    Ok(())
}

fn child(holder: &str, name: &str) -> String {
    format!("{holder}/{}", name.replace('~', "~0").replace('/', "~1"))
}

impl PartialEq for RecordedInput {
    fn eq(&self, other: &Self) -> bool {
        self.as_json() == other.as_json()
    }
}

impl Eq for RecordedInput {}

impl fmt::Debug for RecordedInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_json())
    }
}

impl Serialize for RecordedInput {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for RecordedInput {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // By way of a value: an entry's members are read through a buffer that does not keep their text.
        let document = Value::deserialize(deserializer)?;
        Self::canonical(&document).ok_or_else(|| serde::de::Error::custom("not JSON text"))
    }
}

/// The digest of a verdict, by which a replay is compared: SHA-256 of its canonical JSON without the members of its top
/// level that are `null` or an empty list, so that a member that is added to verdicts later changes no old digest.
pub fn verdict_digest<T: Serialize>(verdict: &T) -> Sha256Digest {
    let mut value = serde_json::to_value(verdict).unwrap_or_default();
    if let Value::Object(members) = &mut value {
        members.retain(|_, value| !value.is_null() && value.as_array().is_none_or(|items| !items.is_empty()));
    }
    json::digest(&value)
}

/// One question to the policy and its verdict, for the record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyRecord {
    rule: PolicyRule,
    input: Option<RecordedInput>,
    input_digest: Option<Sha256Digest>,
    verdict_digest: Sha256Digest,
    openings: Option<Arc<Openings>>,
}

impl PolicyRecord {
    /// What is recorded of `input` under `rule` and of the verdict.
    pub fn of<T: Serialize>(
        rule: PolicyRule,
        input: &str,
        verdict: &T,
        loggable: &BTreeSet<String>,
        salt: Salt,
    ) -> Self {
        let verdict_digest = verdict_digest(verdict);
        let nothing = Self { rule, input: None, input_digest: None, verdict_digest, openings: None };
        let Some((recorded, openings)) = RecordedInput::commit(input, loggable, salt) else { return nothing };
        if recorded.as_json().len().max(input.len()) > MAX_RECORDED_BYTES {
            // Of the form with commitments, so that the digest does not let anybody guess at values.
            return Self { input_digest: Some(Sha256Digest::of(recorded.as_json().as_bytes())), ..nothing };
        }
        let openings = (!openings.values.is_empty()).then(|| Arc::new(openings));
        Self { input: Some(recorded), openings, ..nothing }
    }

    /// Puts it into what an entry says.
    pub fn onto(self, subject: &mut Subject) {
        subject.rule = Some(self.rule);
        subject.input = self.input;
        subject.input_digest = self.input_digest;
        subject.verdict_digest = Some(self.verdict_digest);
        subject.openings = self.openings;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn salt() -> Salt {
        Salt::from_bytes([7; 16])
    }

    fn asked() -> Value {
        json!({
            "phase": "call", "time": 1_790_000_000, "workspace": "default",
            "poa": {"con": {"amount": {"max": 100}}, "leg": {"description": "for Zoe", "ref": "MSA-1",
                "accountable_party": {"id": "dave", "display_name": "Dave D."}}},
            "request": {"connector": "erp", "params": {"amount": 99.5, "vendor_id": "V-1", "a/b": [1, {"x": null}]}},
        })
    }

    fn loggable() -> BTreeSet<String> {
        ["vendor_id".to_owned()].into()
    }

    fn opened(text: &str) -> Value {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn what_is_not_loggable_is_committed_to_and_opens_to_what_was_asked() {
        let (recorded, openings) = RecordedInput::commit(&asked().to_string(), &loggable(), salt()).unwrap();
        for secret in ["99.5", "Zoe", "Dave D.", "\"max\""] {
            assert!(!recorded.as_json().contains(secret), "{secret}: {recorded:?}");
        }
        assert!(recorded.as_json().contains("\"vendor_id\":\"V-1\""), "{recorded:?}");
        let pointers: Vec<_> = openings.values().keys().map(String::as_str).collect();
        assert_eq!(
            pointers,
            [
                "/poa/con/amount",
                "/poa/leg/accountable_party/display_name",
                "/poa/leg/description",
                "/request/params/amount",
                "/request/params/a~1b",
            ]
            .into_iter()
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect::<Vec<_>>()
        );
        assert_eq!(opened(&recorded.open(Some(&openings)).unwrap()), asked());
        let stored = Openings::from_stored(openings.salt(), &openings.to_stored()).unwrap();
        assert_eq!(stored, openings);
    }

    #[test]
    fn a_commitment_is_the_hash_that_the_documents_say() {
        let (recorded, _) = RecordedInput::commit(&asked().to_string(), &loggable(), salt()).unwrap();
        let mut bytes = vec![7; 16];
        bytes.extend_from_slice(b"\0/request/params/amount\x0099.5");
        let expected = Sha256Digest::of(&bytes).to_string();
        assert_eq!(opened(recorded.as_json())["request"]["params"]["amount"], json!({"commitment": expected}));
    }

    #[test]
    fn an_erased_opening_and_a_changed_one_are_told_apart() {
        let (recorded, openings) = RecordedInput::commit(&asked().to_string(), &loggable(), salt()).unwrap();
        assert!(matches!(recorded.open(None), Err(OpenError::Erased(_))));
        let mut changed = openings.clone();
        changed.values.insert("/request/params/amount".to_owned(), json!(1));
        assert_eq!(recorded.open(Some(&changed)), Err(OpenError::Tampered("/request/params/amount".to_owned())));
        let other_salt = Openings { salt: Salt::from_bytes([8; 16]), ..openings };
        assert!(matches!(recorded.open(Some(&other_salt)), Err(OpenError::Tampered(_))));
    }

    #[test]
    fn a_document_is_kept_beside_the_values_and_is_none_of_them() {
        let (recorded, openings) = RecordedInput::commit(&asked().to_string(), &loggable(), salt()).unwrap();
        let kept = openings.clone().with(KeptDocument::Mandate, "a.b.c");
        let stored = Openings::from_stored(salt(), &kept.to_stored()).unwrap();
        assert_eq!(stored, kept);
        assert_eq!(stored.document(KeptDocument::Mandate), Some("a.b.c"));
        assert_eq!(stored.document(KeptDocument::Statement), None);
        assert_eq!(
            (stored.values(), recorded.open(Some(&stored))),
            (openings.values(), recorded.open(Some(&openings)))
        );
        assert!(Openings::from_stored(salt(), br##"{"#mandate": 1}"##).is_none());
    }

    #[test]
    fn a_clear_value_that_looks_like_a_commitment_is_committed_to() {
        let posing = json!({"request": {"params": {"vendor_id": {"commitment": "sha-256:00"}}}});
        let (recorded, openings) = RecordedInput::commit(&posing.to_string(), &loggable(), salt()).unwrap();
        assert_eq!(openings.values().len(), 1);
        assert_eq!(opened(&recorded.open(Some(&openings)).unwrap()), posing);
    }

    #[test]
    fn an_input_beyond_the_bound_is_recorded_as_a_digest_alone() {
        let large = json!({"request": {"params": {"text": "x".repeat(MAX_RECORDED_BYTES)}}}).to_string();
        let record = PolicyRecord::of(PolicyRule::PoaDecision, &large, &json!({}), &BTreeSet::new(), salt());
        assert!(record.input.is_none() && record.input_digest.is_some() && record.openings.is_none());
        let mut subject = Subject::default();
        record.onto(&mut subject);
        assert!(subject.input_digest.is_some());
    }

    #[test]
    fn a_member_that_is_added_to_verdicts_and_says_nothing_changes_no_digest() {
        let before = verdict_digest(&json!({"allow": true, "violations": []}));
        assert_eq!(before, verdict_digest(&json!({"allow": true, "violations": [], "risk": null, "matched": []})));
        assert_ne!(before, verdict_digest(&json!({"allow": false})));
    }

    proptest! {
        #[test]
        fn whatever_the_parameters_are_the_opened_input_is_the_canonical_form_of_the_asked_one(
            params in prop::collection::btree_map("[a-z/~]{1,6}", prop_oneof![
                any::<i32>().prop_map(Value::from), any::<bool>().prop_map(Value::from),
                "[^\0]{0,12}".prop_map(Value::from), Just(Value::Null), Just(json!({"commitment": "x"})),
            ], 0..6),
            loggable in prop::collection::btree_set("[a-z/~]{1,6}", 0..3),
        ) {
            let asked = json!({"request": {"params": params}});
            let (recorded, openings) = RecordedInput::commit(&asked.to_string(), &loggable, salt()).unwrap();
            let opened = recorded.open(Some(&openings)).unwrap();
            prop_assert_eq!(opened.into_bytes(), json::canonical(&asked));
        }
    }
}
