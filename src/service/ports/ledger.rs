//! The record.

use std::collections::BTreeMap;

use async_trait::async_trait;

use crate::domain::action::ActionName;
use crate::domain::id::{ChallengeId, DecisionId, Jti, WorkspaceId};
use crate::domain::ledger::{CallKey, Checkpoint, Entry, EventType, Openings, Receipt};
use crate::domain::spiffe::SpiffeId;
use crate::domain::time::Timestamp;

/// Why the store could not do what it was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The queue is full: nothing was written, ask again later.
    #[error("the record's queue is full")]
    Busy,
    /// The write failed or its fate is unknown. The caller acts as if it had not happened; whatever was written
    /// stays in the record.
    #[error("the record could not be written: {0}")]
    Unavailable(String),
}

/// Why a mandate was not burned.
#[derive(Debug, thiserror::Error)]
pub enum BurnError {
    /// It, or the challenge that its approvals answer, was used before. The entry for that case is durable.
    #[error("the mandate was used before")]
    Replayed(Receipt),
    /// Nothing was burned as far as the caller may assume.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What is spent with one call.
#[derive(Debug, Clone)]
pub struct Burn {
    /// The mandate.
    pub jti: Jti,
    /// The challenge that its approvals answer, so that one approval gives one call even if the issuer's key is stolen.
    pub challenge: Option<ChallengeId>,
    /// How long both must be remembered: until no mandate with them can verify any more.
    pub keep_until: Timestamp,
    /// Whether a connector is called, so that an outcome must follow.
    pub calls: bool,
}

/// Calls of one kind that were allowed within one second, or one quarter of an hour.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowedCalls {
    /// Who called.
    pub agent: SpiffeId,
    /// What.
    pub act: ActionName,
    /// In which workspace.
    pub workspace: WorkspaceId,
    /// When, in seconds since the epoch.
    pub at: u64,
    /// How often.
    pub calls: u32,
}

/// The append-only record, and the memory of what was spent.
///
/// Every method is one transaction that is durable when it answers; entries of concurrent callers are grouped into one
/// commit and numbered in the order of arrival. Safe to call from any number of tasks. Nothing is retried inside.
/// If the future is dropped the write may still happen.
#[async_trait]
pub trait Ledger: Send + Sync {
    /// Appends `entry`.
    async fn record(&self, entry: Entry) -> Result<Receipt, StoreError>;

    /// Burns and appends `spent`, or, if any part was burned before, burns nothing and appends `replayed`.
    async fn burn_and_record(&self, burn: Burn, spent: Entry, replayed: Entry) -> Result<Receipt, BurnError>;

    /// Appends `allowed`, the `decision` that permits a call without a mandate, and puts that call on the list of calls
    /// in doubt.
    async fn record_unmandated(&self, decision: DecisionId, allowed: Entry) -> Result<Receipt, StoreError>;

    /// Appends the outcome of a call and takes it off the list of calls in doubt.
    async fn record_outcome(&self, call: CallKey, outcome: Entry) -> Result<Receipt, StoreError>;

    /// Permitted calls that have no outcome yet, with the decision's entry. Read at start-up only.
    async fn calls_in_doubt(&self) -> Result<Vec<(CallKey, Entry)>, StoreError>;

    /// Calls that the broker allowed at `since` or later, summed up by agent, act, workspace and second; those more than
    /// an hour before `now` by the last second of their quarter of an hour. Read at start-up only.
    async fn allowed_calls(&self, since: Timestamp, now: Timestamp) -> Result<Vec<AllowedCalls>, StoreError>;

    /// Forgets what was burned and need not be remembered at `now`; returns how many rows went. Calls in doubt stay.
    async fn prune_burned(&self, now: Timestamp) -> Result<u64, StoreError>;

    /// The newest signed checkpoint; it covers exactly the durable entries.
    async fn checkpoint(&self) -> Result<Checkpoint, StoreError>;

    /// Entries with `seq >= from` that match, oldest first, at most `limit`; `(seq, entry bytes)`.
    async fn entries(&self, from: u64, limit: u32, filter: &EntryFilter) -> Result<Vec<(u64, Vec<u8>)>, StoreError>;

    /// What opens the commitments of the entries `first..=last`, as far as it was not erased.
    async fn openings(&self, first: u64, last: u64) -> Result<BTreeMap<u64, Openings>, StoreError>;

    /// Whether a write would be accepted now.
    async fn writable(&self) -> Result<(), StoreError>;
}

/// What `audit query` asks for; absent means any.
#[derive(Debug, Clone, Default)]
pub struct EntryFilter {
    /// Only this kind.
    pub event_type: Option<EventType>,
    /// Only this agent.
    pub agent: Option<String>,
    /// Only this act.
    pub act: Option<String>,
    /// Only this reason.
    pub reason: Option<String>,
    /// Only this mandate.
    pub jti: Option<String>,
    /// Only this challenge.
    pub challenge_id: Option<String>,
    /// Only this decision.
    pub decision_id: Option<String>,
    /// Only this workspace.
    pub workspace: Option<WorkspaceId>,
    /// Not earlier than this.
    pub since: Option<Timestamp>,
    /// Earlier than this.
    pub until: Option<Timestamp>,
}
