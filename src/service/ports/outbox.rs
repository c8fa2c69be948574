//! What waits for those endpoints.

use async_trait::async_trait;

use super::ledger::StoreError;
use crate::domain::id::ChallengeId;
use crate::domain::ledger::{Entry, Receipt};
use crate::domain::time::Timestamp;

/// An event that an endpoint is to be told of.
#[derive(Debug, Clone, Copy)]
pub struct Queued {
    /// Its entry.
    pub seq: u64,
    /// Its challenge.
    pub challenge_id: ChallengeId,
    /// When it happened.
    pub at: Timestamp,
}

/// An event that waits for an endpoint, with its entry.
#[derive(Debug, Clone)]
pub struct Waiting {
    /// Its entry's index.
    pub seq: u64,
    /// How often it was tried.
    pub attempts: u32,
    /// Its entry.
    pub entry: Entry,
}

/// Entries about challenges, and where to read on.
#[derive(Debug, Clone)]
pub struct News {
    /// With their indices, oldest first.
    pub entries: Vec<(u64, Entry)>,
    /// The first index that was not looked at.
    pub next: u64,
}

/// What waits for an endpoint.
#[derive(Debug, Clone, Copy)]
pub struct Backlog {
    /// How many events.
    pub count: u64,
    /// When the oldest of them happened.
    pub oldest: Option<Timestamp>,
}

/// The queues of the endpoints, beside the ledger that they are fed from.
///
/// Every change is one transaction that is durable when it answers, through the ledger's one writer. One task at a time
/// uses one endpoint's queue; queues do not touch each other.
#[async_trait]
pub trait Outbox: Send + Sync {
    /// The endpoint's place in the ledger. One that was never seen gets the end of the ledger, durably.
    async fn join(&self, endpoint: &str) -> Result<u64, StoreError>;

    /// The entries about challenges among the `window` entries from `from` on, as far as they are durable.
    async fn news(&self, from: u64, window: u64) -> Result<News, StoreError>;

    /// Queues `events` and moves the endpoint's place to `next`, both or neither.
    async fn queue(&self, endpoint: &str, next: u64, events: Vec<Queued>) -> Result<(), StoreError>;

    /// Events whose time to be tried has come, oldest first, at most `limit`; of one challenge only the oldest, due or not.
    async fn due(&self, endpoint: &str, now: Timestamp, limit: u32) -> Result<Vec<Waiting>, StoreError>;

    /// What waits for the endpoint.
    async fn waiting(&self, endpoint: &str) -> Result<Backlog, StoreError>;

    /// Takes an event off the queue.
    async fn strike(&self, endpoint: &str, seq: u64) -> Result<(), StoreError>;

    /// Keeps an event for another attempt at `next`.
    async fn postpone(
        &self,
        endpoint: &str,
        seq: u64,
        attempts: u32,
        next: Timestamp,
        detail: &str,
    ) -> Result<(), StoreError>;

    /// Moves an event from the queue to the dead letters and appends `entry`, both or neither.
    async fn bury(
        &self,
        endpoint: &str,
        seq: u64,
        attempts: u32,
        detail: &str,
        entry: Entry,
    ) -> Result<Receipt, StoreError>;

    /// Waits until a challenge may have changed, or `millis` have passed.
    async fn changed(&self, millis: u64);
}
