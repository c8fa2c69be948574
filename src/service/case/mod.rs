//! One case as a set of files that an auditor checks with nothing but the log's public key.
//!
//! ```text
//! manifest.json             what is here, each file with its digest; what is not here, and why
//! checkpoint.txt            the signed note that every proof leads to
//! entries/0000000012.json   the entry's bytes, as they are hashed
//! proofs/0000000012.json    that it stands at its number in that log (domain::ledger::InclusionProof)
//! openings/0000000012.json  what opens its commitments
//! mandates/0000000012.jws   the mandate that it says was spent; statements/… the statement that it says counts
//! bundles/<digest>.tar.gz   the policy that judged
//! keys/jwks.json, keys/trust.pem   by which mandates and approvals were believed, as `service_started` names them
//! ```
//!
//! [`assemble`] makes the files, [`check`] takes nothing in them for granted. What belongs to a case is found by the ids
//! that its entries share ([`names`]).
//!
//! Not proven by a case: that it is whole. An entry that was left out is missed only where another one asks for it. Who
//! needs that asks the log.

mod assemble;
mod check;
mod mandate;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::domain::id::{EventId, Sha256Digest};
use crate::domain::ledger::Entry;
use crate::domain::time::Timestamp;

pub use assemble::{Found, Material, assemble};
pub use check::{CaseReport, Check, CheckOutcome, LoadBundle, check};

/// The form of the files.
pub const FORMAT: &str = "atb-case/1";
const MANIFEST: &str = "manifest.json";
const CHECKPOINT: &str = "checkpoint.txt";
const JWKS: &str = "keys/jwks.json";
const TRUST: &str = "keys/trust.pem";

/// The files of a case, by their names.
pub type Files = BTreeMap<String, Vec<u8>>;

/// What is in a case.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`FORMAT`].
    pub format: String,
    /// What was asked for: an id of an event, a decision, a mandate or a challenge.
    pub id: String,
    /// The log.
    pub origin: String,
    /// How many entries its checkpoint covers.
    pub tree_size: u64,
    /// The entries, in order.
    pub entries: Vec<ManifestEntry>,
    /// What would belong here and does not, in words.
    pub missing: Vec<String>,
    /// Every other file.
    pub files: BTreeMap<String, ManifestFile>,
}

/// One entry of a case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ManifestEntry {
    /// Its number.
    pub seq: u64,
    /// Its id.
    pub event_id: EventId,
    /// Its kind.
    pub event_type: String,
    /// When.
    pub at: Timestamp,
    /// Whether it is here for what it says of the service, and not of the case.
    pub context: bool,
}

/// One file of a case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ManifestFile {
    /// Its length.
    pub bytes: u64,
    /// Its SHA-256.
    pub digest: Sha256Digest,
}

/// Every id by which an entry is of a case.
pub fn names(entry: &Entry) -> BTreeSet<String> {
    let subject = &entry.subject;
    let ids = [
        subject.jti.map(|id| id.to_string()),
        subject.challenge_id.map(|id| id.to_string()),
        subject.decision_id.map(|id| id.to_string()),
        subject.detail.get("reask_of").cloned(),
    ];
    ids.into_iter().flatten().chain([entry.event_id.to_string()]).collect()
}

fn entry_file(seq: u64) -> String {
    format!("entries/{seq:010}.json")
}

fn proof_file(seq: u64) -> String {
    format!("proofs/{seq:010}.json")
}

fn openings_file(seq: u64) -> String {
    format!("openings/{seq:010}.json")
}

fn document_file(folder: &str, seq: u64) -> String {
    format!("{folder}s/{seq:010}.jws")
}

fn bundle_file(digest: Sha256Digest) -> String {
    format!("bundles/{}.tar.gz", digest.to_hex())
}
