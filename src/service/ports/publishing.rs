//! Where checkpoints go so that their owner cannot take them back.

use async_trait::async_trait;

use super::ledger::StoreError;
use crate::domain::id::Sha256Digest;
use crate::domain::ledger::{Checkpoint, Cosignature, Origin, WitnessKey};

/// The log as its publisher sees it.
#[async_trait]
pub trait PublishedLog: Send + Sync {
    /// The newest checkpoint; everything that it covers is durable.
    async fn newest(&self) -> Result<Checkpoint, StoreError>;

    /// The proof that the log of `old` entries is a prefix of the log of `new` entries (RFC 6962 §2.1.2).
    async fn consistency(&self, old: u64, new: u64) -> Result<Vec<Sha256Digest>, StoreError>;

    /// The size of the newest checkpoint that `witness` is known to have cosigned; 0 before the first.
    async fn witnessed(&self, witness: &Origin) -> Result<u64, StoreError>;

    /// Keeps a cosignature of `checkpoint`, durably. One that is there already is replaced.
    async fn keep_cosignature(&self, checkpoint: &Checkpoint, cosignature: &Cosignature) -> Result<(), StoreError>;

    /// The newest checkpoint that a witness cosigned, with every cosignature that there is of it.
    async fn cosigned(&self) -> Result<Option<Checkpoint>, StoreError>;
}

/// Why a checkpoint did not get where it was to go.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// It is there, and it has a checkpoint of another size than was assumed.
    #[error("it has a checkpoint of {0} entries")]
    OtherSize(u64),
    /// It has a later checkpoint, or another one of the same size: this log was put back, or has two histories.
    #[error(
        "it has a checkpoint of {has} entries and this log has {newest}: the log was put back or has two histories"
    )]
    Contradicted {
        /// The size of the checkpoint out there.
        has: u64,
        /// The newest size here.
        newest: u64,
    },
    /// It does not take this log's checkpoints.
    #[error("it refused the checkpoint: {0}")]
    Refused(String),
    /// It cannot be reached or written.
    #[error("{0}")]
    Unavailable(String),
}

impl From<StoreError> for PublishError {
    fn from(error: StoreError) -> Self {
        Self::Unavailable(error.to_string())
    }
}

/// A witness (C2SP tlog-witness).
#[async_trait]
pub trait Witness: Send + Sync {
    /// Whose cosignatures are taken.
    fn key(&self) -> &WitnessKey;

    /// Hands in `checkpoint`, which continues the one of `old` entries by `proof`; the witness's cosignature, verified.
    async fn add_checkpoint(
        &self,
        old: u64,
        proof: &[Sha256Digest],
        checkpoint: &Checkpoint,
    ) -> Result<Cosignature, PublishError>;
}

/// A file that checkpoints are appended to.
#[async_trait]
pub trait CheckpointFile: Send + Sync {
    /// Appends `checkpoint` durably; nothing if it is the last one there. False where it was there.
    async fn append(&self, checkpoint: &Checkpoint) -> Result<bool, PublishError>;
}
