//! What happened: entries, the RFC 6962 tree over them, and signed checkpoints.
//!
//! An entry's bytes are written once and never interpreted again by the tree: the leaf is
//! `SHA-256(0x00 || bytes)` (RFC 6962 §2.1) and the store keeps exactly those bytes.

mod checkpoint;
mod cosignature;
mod entry;
pub mod export;
pub mod notes;
mod openings;
mod proof;
pub mod query;
mod receipt;
mod recorded;
mod tile;
mod tree;

pub use checkpoint::{Checkpoint, CheckpointError, LogKey, LogVerifier, Origin};
pub use cosignature::{Cosignature, CosignatureError, MAX_WITNESSES, WitnessKey, WitnessPolicy};
pub use entry::{Entry, EventType, Outcome, Subject};
pub use openings::{KeptDocument, Openings, Salt};
pub use proof::{InclusionError, InclusionProof};
#[cfg(feature = "server")]
pub(crate) use receipt::ReceiptDraft;
pub use receipt::{CallKey, Receipt};
pub use recorded::{MAX_RECORDED_BYTES, OpenError, PolicyRecord, PolicyRule, RecordedInput, verdict_digest};
pub use tile::{MAX_ENTRY_BYTES, TILE_WIDTH, TileKind, TilePath, TilePathError, entry_bundle};
pub use tree::{
    Frontier, LeafHash, ProofError, Subtree, consistency_proof, inclusion_proof, verify_consistency, verify_inclusion,
};
