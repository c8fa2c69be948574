//! Systems beside ours that are sent the ledger, and the ledger as they are sent it.

use async_trait::async_trait;

use super::ledger::StoreError;
use crate::domain::id::EventId;
use crate::domain::ledger::EventType;
use crate::domain::time::Timestamp;

/// One entry on its way out: its own bytes, and what an envelope says of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboundRecord {
    /// Its index in the log.
    pub seq: u64,
    /// Its id, by which a receiver knows a record that came twice.
    pub event_id: EventId,
    /// What it records.
    pub event_type: EventType,
    /// When it happened.
    pub at: Timestamp,
    /// The verdict, where it is one.
    pub allow: Option<bool>,
    /// The entry's bytes, as they were hashed.
    pub body: Vec<u8>,
}

/// Records that are sent together, oldest first; never empty.
#[derive(Debug, Clone)]
pub struct SinkBatch {
    /// The records.
    pub records: Vec<OutboundRecord>,
}

/// Why a batch was not taken as a whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct SinkError {
    /// What went wrong, without addresses, secrets and what the receiver said.
    pub detail: String,
    /// How many records, from the first, were taken all the same.
    pub taken: usize,
    /// Whether the receiver refused the content, so that the same again is of no use until somebody acts.
    pub refused: bool,
}

impl SinkError {
    /// Nothing was taken, and later it may be.
    pub fn failed(detail: impl Into<String>) -> Self {
        Self { detail: detail.into(), taken: 0, refused: false }
    }

    /// Nothing was taken, and the content is why.
    pub fn refused(detail: impl Into<String>) -> Self {
        Self { detail: detail.into(), taken: 0, refused: true }
    }

    /// The same with `taken` records delivered before the fault.
    #[must_use]
    pub fn after(self, taken: usize) -> Self {
        Self { taken, ..self }
    }
}

/// Takes records.
///
/// One call is one attempt, within the sink's configured time; the caller alone retries. `Ok` only when the receiver
/// holds every record of the batch as durably as it ever says. Calls come one after the other. A record may come again
/// after an `Err`, after a dropped future and after a crash, always with the same bytes and the same id.
#[async_trait]
pub trait Sink: Send + Sync {
    /// Sends `batch`.
    async fn deliver(&self, batch: &SinkBatch) -> Result<(), SinkError>;
}

/// A stretch of the log.
#[derive(Debug, Clone)]
pub struct Stretch {
    /// Indices and bytes, oldest first.
    pub entries: Vec<(u64, Vec<u8>)>,
    /// The first index that was not looked at.
    pub next: u64,
    /// Whether a limit cut it short.
    pub full: bool,
}

/// The ledger as sinks read it, and their places in it.
///
/// A place is durable when the call that moves it answers. One task at a time uses one sink's place.
#[async_trait]
pub trait ShippingLog: Send + Sync {
    /// The sink's place. One that was never seen gets `first`, at most the end of the ledger, durably.
    async fn place(&self, sink: &str, first: u64) -> Result<u64, StoreError>;

    /// Moves the sink's place.
    async fn advance(&self, sink: &str, next: u64) -> Result<(), StoreError>;

    /// Durable entries from `from` on: at most `records`, and no more after `bytes` are reached.
    async fn stretch(&self, from: u64, records: usize, bytes: usize) -> Result<Stretch, StoreError>;

    /// How many entries are durable.
    fn durable(&self) -> u64;

    /// Waits until more than `size` entries are durable, or `millis` have passed.
    async fn grown(&self, size: u64, millis: u64);
}
