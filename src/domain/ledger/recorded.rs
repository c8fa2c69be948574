//! What the record keeps of a question to the policy: enough to ask it again, without the values that nobody may read.
//!
//! ```text
//! input, canonical (RFC 8785) ─▶ values that are not loggable become {"commitment":"sha-256:…"}  ─▶ the entry
//!                               └▶ salt and clear values by pointer: the openings               ─▶ a table of their own
//! ```
//!
//! The entry is a leaf of the tree and stays for good; the openings can be erased, and what was committed to can then be
//! neither read nor guessed, because the salt is gone with them. Does not say for how long openings are kept.
//!
//! INVARIANT: [`RecordedInput::open`] gives the input that was committed to, or says why not; it never gives another.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use serde_json::value::RawValue;

use super::entry::Subject;
use super::openings::{COMMITMENT, Openings, REQUEST_DIGEST, Salt, commitment};
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
mod tests;
