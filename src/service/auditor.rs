//! Verification of a whole log, or of its end, against the checkpoints that its owner signed (invariant 8).
//!
//! Every entry's leaf is computed again from its bytes and the tree from the leaves. The signed root says *whether*
//! the log is intact; the hashes that the store keeps beside the entries (leaf, tile of 256 leaves, roots of full
//! blocks, the right edge) say *where* it is not and what was done to it.
//!
//! | done to the log | seen as |
//! | --- | --- |
//! | bytes, leaf hash or index column of an entry changed, or the allowed calls or the tags that are kept of a block | `edited` |
//! | a row taken out, with or without renumbering the rest | `dropped` |
//! | rows exchanged | `reordered` |
//! | rows at the end taken out, or head and rows put back to an earlier state | `truncated` |
//! | rows added that no checkpoint covers | `appended` |
//! | another history, signed by the log's own key | `forked` |
//! | a checkpoint that the log's key did not sign | `checkpoint_signature` |
//!
//! Where an attacker changed an entry together with everything that is kept about it, the finding names the smallest
//! range of entries that the signed root still tells apart.
//!
//! Not here: where the log comes from ([`LogSource`]) and what is done about a finding.

use std::fmt;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::domain::id::{ChallengeId, DecisionId, Jti, Sha256Digest, WorkspaceId};
use crate::domain::ledger::{
    Checkpoint, Cosignature, CosignatureError, Entry, Frontier, LeafHash, LogVerifier, Subtree, WitnessPolicy,
};
use crate::domain::time::Timestamp;
use crate::service::ports::StoreError;

mod counted;
mod judge;
mod scan;
mod tags;
mod taken;

pub use counted::{Counted, CountedCalls};
pub use tags::{StoredTags, Tag, Tags};

/// Entries in a block: the leaves of one tile (C2SP tlog-tiles, height 8).
pub const BLOCK: u64 = 256;
/// The level of a full block's root.
pub const BLOCK_LEVEL: u8 = 8;
/// A log up to this size is verified from its first entry at every start.
const SMALL_LOG: u64 = 16_384;

/// A log at rest or in use, as its store keeps it. Entries below the head's size never change, so that several reads
/// see one log.
#[async_trait]
pub trait LogSource: Send + Sync {
    /// The newest checkpoint and the number of rows, read in one transaction.
    async fn head(&self) -> Result<StoredHead, StoreError>;

    /// The rows with `from <= seq < to`, by `seq`.
    async fn rows(&self, from: u64, to: u64) -> Result<Vec<LogRow>, StoreError>;

    /// What is kept about the full block `index`; absent parts are empty.
    async fn block(&self, index: u64) -> Result<StoredBlock, StoreError>;

    /// Earlier checkpoints with at least `from` entries, by size, at most `limit`.
    async fn history(&self, from: u64, limit: u32) -> Result<Vec<StoredCheckpoint>, StoreError>;

    /// The latest earlier checkpoint with at most `size` entries.
    async fn last_history(&self, size: u64) -> Result<Option<StoredCheckpoint>, StoreError>;

    /// The root of a perfect subtree, from the hashes that are kept; `None` if one of them is missing.
    async fn subtree(&self, subtree: Subtree) -> Result<Option<Sha256Digest>, StoreError>;
}

/// The head as stored, unverified.
#[derive(Debug, Clone)]
pub struct StoredHead {
    /// The signed checkpoint's text.
    pub note: String,
    /// The right edge ([`Frontier::to_bytes`]).
    pub frontier: Vec<u8>,
    /// One more than the highest `seq`.
    pub rows: u64,
}

/// An earlier checkpoint as stored, unverified.
#[derive(Debug, Clone)]
pub struct StoredCheckpoint {
    /// How many entries it says it covers.
    pub size: u64,
    /// When it was kept.
    pub at: Timestamp,
    /// Its text.
    pub note: String,
    /// The right edge at that size.
    pub frontier: Vec<u8>,
}

/// What is kept about a full block, unverified.
#[derive(Debug, Clone, Default)]
pub struct StoredBlock {
    /// Its leaves, 32 bytes each.
    pub leaves: Vec<u8>,
    /// The root over them.
    pub root: Vec<u8>,
    /// The allowed calls among its entries.
    pub counted: Counted,
    /// Where its agents, mandates and decisions stand.
    pub tags: StoredTags,
}

/// An entry as stored, unverified.
#[derive(Debug, Clone)]
pub struct LogRow {
    /// Its number.
    pub seq: u64,
    /// Its bytes; none of an entry that an archive holds instead.
    pub body: Vec<u8>,
    /// Its leaf hash.
    pub leaf: Vec<u8>,
    /// What queries look at; `None` when a column holds what no entry can.
    pub columns: Option<Columns>,
}

/// The members of an entry that the store repeats in columns.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Columns {
    /// The kind of event.
    pub event_type: String,
    /// When.
    pub at: Timestamp,
    /// The agent.
    pub agent: Option<String>,
    /// The act.
    pub act: Option<String>,
    /// The reason.
    pub reason: Option<String>,
    /// The mandate.
    pub jti: Option<Jti>,
    /// The challenge.
    pub challenge_id: Option<ChallengeId>,
    /// The decision.
    pub decision_id: Option<DecisionId>,
    /// The workspace.
    pub workspace: WorkspaceId,
}

impl Columns {
    /// The columns of `entry`.
    pub fn of(entry: &Entry) -> Self {
        let subject = &entry.subject;
        Self {
            event_type: entry.event_type.as_str().to_owned(),
            at: entry.at,
            agent: subject.agent.as_ref().map(ToString::to_string),
            act: subject.act.as_ref().map(ToString::to_string),
            reason: subject.reason.clone(),
            jti: subject.jti,
            challenge_id: subject.challenge_id,
            decision_id: subject.decision_id,
            workspace: entry.workspace.clone(),
        }
    }

    /// The columns of the entry with those bytes. Members that this program does not know do not disturb it.
    pub(super) fn of_body(body: &[u8]) -> Option<Self> {
        serde_json::from_slice(body).ok()
    }
}

/// What was done to a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Tampering {
    /// An entry, or what is kept about it, is not what was written.
    Edited,
    /// An entry is gone from the middle.
    Dropped,
    /// Entries stand in each other's place.
    Reordered,
    /// The log ends before a checkpoint that was signed.
    Truncated,
    /// There are rows that no checkpoint covers.
    Appended,
    /// The log's key signed two histories.
    Forked,
    /// A checkpoint is not signed by the log's key.
    CheckpointSignature,
}

impl Tampering {
    /// The name as reported.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Edited => "edited",
            Self::Dropped => "dropped",
            Self::Reordered => "reordered",
            Self::Truncated => "truncated",
            Self::Appended => "appended",
            Self::Forked => "forked",
            Self::CheckpointSignature => "checkpoint_signature",
        }
    }
}

impl fmt::Display for Tampering {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One thing that is wrong with a log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was done.
    pub kind: Tampering,
    /// The first entry it was done to, where there is one.
    pub seq: Option<u64>,
    /// How it is known.
    pub detail: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.seq {
            Some(seq) => write!(f, "{} at entry {seq}: {}", self.kind, self.detail),
            None => write!(f, "{}: {}", self.kind, self.detail),
        }
    }
}

/// What verification found.
#[derive(Debug, Clone)]
pub struct AuditReport {
    /// How many entries were found in place.
    pub size: u64,
    /// The root over them as computed from their bytes.
    pub root: Sha256Digest,
    /// The newest checkpoint, if the log's key signed it.
    pub checkpoint: Option<Checkpoint>,
    /// What is wrong, worst first by position in the log; empty when the log is intact. At most 100.
    pub findings: Vec<Finding>,
    /// Entries that an archive holds and that were not read: of them only the leaf hashes were verified.
    pub unread: Vec<std::ops::Range<u64>>,
    /// The right edge of the tree as computed, from which the log can be continued.
    pub edge: Edge,
}

impl AuditReport {
    /// Whether nothing is wrong.
    pub fn is_intact(&self) -> bool {
        self.findings.is_empty()
    }
}

/// The right edge of a log.
#[derive(Debug, Clone, Default)]
pub struct Edge {
    /// The tree's.
    pub frontier: Frontier,
    /// The leaves of the block that is not full.
    pub open_block: Vec<LeafHash>,
}

/// Where verification starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// At the first entry.
    Beginning,
    /// At the last earlier checkpoint, if the log is long: what a service verifies when it starts.
    LastCheckpoint,
    /// At the block of this entry. What lies before it is taken from the kept hashes, which the signed root vouches for.
    Entry(u64),
}

/// What is verified, and who watches.
pub struct Scope<'a> {
    /// The first entry.
    pub start: Start,
    /// The entry before which verification may end; to the end where absent. Rounded up to a whole block.
    pub end: Option<u64>,
    /// Signed notes that somebody else has kept.
    pub published: &'a [String],
    /// Told how many entries are done, of how many.
    pub progress: &'a (dyn Fn(u64, u64) + Send + Sync),
}

impl<'a> Scope<'a> {
    /// All from `start` on, watched by nobody.
    pub fn from(start: Start, published: &'a [String]) -> Self {
        Self { start, end: None, published, progress: &|_, _| {} }
    }
}

/// Verifies the log in `source` with the log's key and, beside the store's own checkpoints, those in `published`
/// (signed notes that somebody else has kept).
///
/// # Errors
/// When the log cannot be read. A log that can be read and is not intact is a report with findings.
pub async fn verify_log(
    source: &dyn LogSource,
    verifier: &LogVerifier,
    published: &[String],
    start: Start,
) -> Result<AuditReport, StoreError> {
    verify_scope(source, verifier, Scope::from(start, published)).await
}

/// As [`verify_log`], of a part of the log. The signed root covers all of it: where the bytes of the part, the kept hashes
/// before and the kept hashes behind it give that root, the part is what was signed.
///
/// # Errors
/// As [`verify_log`].
pub async fn verify_scope(
    source: &dyn LogSource,
    verifier: &LogVerifier,
    scope: Scope<'_>,
) -> Result<AuditReport, StoreError> {
    let head = source.head().await?;
    let checkpoint = match verifier.verify(&head.note) {
        Ok(checkpoint) => checkpoint,
        Err(error) => {
            let finding = Finding { kind: Tampering::CheckpointSignature, seq: None, detail: error.to_string() };
            let edge = Edge::default();
            let root = edge.frontier.root();
            return Ok(AuditReport {
                size: 0,
                root,
                checkpoint: None,
                findings: vec![finding],
                unread: Vec::new(),
                edge,
            });
        }
    };
    let from = match scope.start {
        Start::LastCheckpoint if checkpoint.size() > SMALL_LOG => trusted_edge(source, verifier, &checkpoint).await?,
        Start::Entry(seq) => kept_edge(source, seq.min(checkpoint.size()) / BLOCK * BLOCK).await?,
        _ => Frontier::new(),
    };
    scan::Scan::new(source, verifier, head, checkpoint, from).run(&scope).await
}

/// The edge at `size`, a whole number of blocks, from the kept hashes; the empty one if they are not there.
async fn kept_edge(source: &dyn LogSource, size: u64) -> Result<Frontier, StoreError> {
    let mut roots = Vec::new();
    for subtree in Frontier::subtrees(size) {
        match source.subtree(subtree).await? {
            Some(root) => roots.push(root),
            None => return Ok(Frontier::new()),
        }
    }
    Ok(Frontier::from_nodes(size, roots).unwrap_or_default())
}

/// The newest of `notes` that the log signed and that meets `policy`, with the cosignatures by which it does.
///
/// # Errors
/// When there is none: what is wrong with the newest that the log signed.
pub fn newest_witnessed(
    verifier: &LogVerifier,
    policy: &WitnessPolicy,
    notes: &[String],
) -> Result<(Checkpoint, Vec<Cosignature>), Finding> {
    let mut signed: Vec<_> = notes.iter().filter_map(|note| verifier.verify(note).ok()).collect();
    signed.sort_by_key(|checkpoint| std::cmp::Reverse(checkpoint.size()));
    let mut first: Option<CosignatureError> = None;
    for checkpoint in signed {
        match policy.check(&checkpoint) {
            Ok(cosignatures) => return Ok((checkpoint, cosignatures)),
            Err(error) => first = first.or(Some(error)),
        }
    }
    let detail =
        first.map_or_else(|| "there is no checkpoint to look for cosignatures on".to_owned(), |e| e.to_string());
    Err(Finding { kind: Tampering::CheckpointSignature, seq: None, detail })
}

/// The edge at the last full block that an earlier checkpoint vouches for; the empty one if none does.
async fn trusted_edge(
    source: &dyn LogSource,
    verifier: &LogVerifier,
    checkpoint: &Checkpoint,
) -> Result<Frontier, StoreError> {
    let Some(stored) = source.last_history(checkpoint.size()).await? else { return Ok(Frontier::new()) };
    let signed = verifier.verify(&stored.note).ok();
    let edge = Frontier::from_bytes(&stored.frontier)
        .filter(|edge| signed.is_some_and(|s| s.size() == edge.size() && s.root() == edge.root()));
    Ok(edge.map(|edge| edge.rounded_down(BLOCK_LEVEL)).unwrap_or_default())
}
