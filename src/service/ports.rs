//! Every trait that the outside implements. The doc of a port is its contract: atomicity, durability, retries,
//! concurrency, and what each error promises.

use async_trait::async_trait;
use std::sync::Arc;

use crate::domain::action::{CallPath, CallRequest, Method};
use crate::domain::approval::{Challenge, ChallengeState};
use crate::domain::id::{ChallengeId, ConnectorId, Jti, WorkspaceId};
use crate::domain::json::Object;
use crate::domain::ledger::{Checkpoint, Entry, EventType, Receipt};
use crate::domain::leg::Withdrawal;
use crate::domain::policy::{Assessment, Bundle, Decision, IssueDecision, PolicyInput};
use crate::domain::spiffe::SpiffeId;
use crate::domain::time::Timestamp;

/// What time it is. One implementation reads the system's clock; tests hand one in.
pub trait Clock: Send + Sync {
    /// Now, in UTC.
    fn now(&self) -> Timestamp;

    /// Monotonic microseconds since an arbitrary start, for durations only.
    fn monotonic_micros(&self) -> u64;
}

/// Where the random bits of UUIDv7s come from (a cryptographic generator).
pub trait Entropy: Send + Sync {
    /// Ten fresh random bytes.
    fn bytes(&self) -> [u8; 10];
}

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

    /// Appends the outcome of the call that burned `jti` and takes it off the list of calls in doubt.
    async fn record_outcome(&self, jti: Jti, outcome: Entry) -> Result<Receipt, StoreError>;

    /// Burned mandates whose call has no outcome yet, with the decision's entry. Read at start-up only.
    async fn calls_in_doubt(&self) -> Result<Vec<(Jti, Entry)>, StoreError>;

    /// Forgets what was burned and need not be remembered at `now`; returns how many rows went. Calls in doubt stay.
    async fn prune_burned(&self, now: Timestamp) -> Result<u64, StoreError>;

    /// The newest signed checkpoint; it covers exactly the durable entries.
    async fn checkpoint(&self) -> Result<Checkpoint, StoreError>;

    /// Entries with `seq >= from` that match, oldest first, at most `limit`; `(seq, entry bytes)`.
    async fn entries(&self, from: u64, limit: u32, filter: &EntryFilter) -> Result<Vec<(u64, Vec<u8>)>, StoreError>;

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

/// Why a challenge did not change.
#[derive(Debug, thiserror::Error)]
pub enum AdvanceError {
    /// Somebody changed it since it was read: read it again and decide anew. Nothing was written.
    #[error("the challenge changed in the meantime")]
    Conflict,
    /// As in [`StoreError`].
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A challenge as stored, with the version that the next change must name.
#[derive(Debug, Clone)]
pub struct Stored<T> {
    /// Grows by one with every change.
    pub version: u64,
    /// The value at that version.
    pub value: T,
}

/// The challenges. The same transaction and durability rules as [`Ledger`]: state and record change together.
#[async_trait]
pub trait Challenges: Send + Sync {
    /// Stores a new challenge and appends `entry`.
    ///
    /// `AdvanceError::Conflict` when a challenge of that id exists.
    async fn open(&self, challenge: &Challenge, entry: Entry) -> Result<Receipt, AdvanceError>;

    /// The challenge `id`, if there is one.
    async fn find(&self, id: ChallengeId) -> Result<Option<Stored<Challenge>>, StoreError>;

    /// Replaces version `version` of the challenge by `next` and appends `entry`, both or neither. This is the only way
    /// a challenge is voted on, rejected, expired or redeemed, so each of them happens at most once.
    async fn advance(&self, version: u64, next: &Challenge, entry: Entry) -> Result<Receipt, AdvanceError>;

    /// Challenges in `state`, oldest first, at most `limit`.
    async fn list(&self, state: Option<ChallengeState>, limit: u32) -> Result<Vec<Stored<Challenge>>, StoreError>;

    /// Waits until the challenge is at another version than `version` or `millis` have passed.
    async fn changed(&self, id: ChallengeId, version: u64, millis: u64);
}

/// The withdrawn legal grounds. The same transaction and durability rules as [`Ledger`].
#[async_trait]
pub trait WithdrawalStore: Send + Sync {
    /// Keeps a withdrawal and appends `entry`, both or neither.
    ///
    /// `AdvanceError::Conflict` when the same was withdrawn before; nothing is written then.
    async fn withdraw(&self, withdrawal: &Withdrawal, entry: Entry) -> Result<Receipt, AdvanceError>;

    /// Every withdrawal. Read at start, not on calls.
    async fn withdrawals(&self) -> Result<Vec<Withdrawal>, StoreError>;
}

/// A verdict, and the bundle that gave it: the one to name in mandates and records, even if another was activated since.
#[derive(Debug, Clone)]
pub struct Judged<T> {
    /// The verdict.
    pub verdict: T,
    /// The bundle.
    pub bundle: Arc<Bundle>,
}

/// The policy decision point, over the bundle in force.
///
/// No method fails: an error of the engine, a deadline, an undefined or malformed answer is a denial with its own reason.
#[async_trait]
pub trait PolicyPoint: Send + Sync {
    /// The bundle in force.
    fn bundle(&self) -> Arc<Bundle>;

    /// `data.atb.poa.decision` for a call.
    async fn decide(&self, input: PolicyInput) -> Judged<Decision>;

    /// `data.atb.issue.decision` for a request for a mandate.
    async fn issue(&self, input: PolicyInput) -> Judged<IssueDecision>;

    /// `data.atb.approval.assessment`: which approvals count.
    async fn assess(&self, input: PolicyInput) -> Judged<Assessment>;
}

/// Why a described call is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotACall {
    /// The defect's own name.
    pub code: &'static str,
    /// RFC 6901 pointer into the description.
    pub pointer: String,
    /// What is wrong, in a sentence.
    pub detail: String,
}

/// The route tables of the connectors. Pure look-ups over a snapshot; no network.
pub trait CallDirectory: Send + Sync {
    /// The canonical call that a description names: the route gives the act.
    ///
    /// # Errors
    /// When no route matches, or a parameter is not where the route says.
    fn describe(
        &self,
        connector: &ConnectorId,
        method: Method,
        path: &CallPath,
        params: &Object,
    ) -> Result<CallRequest, NotACall>;

    /// Whether `workload` may ask for decisions on calls to `connector`.
    fn may_ask(&self, connector: &ConnectorId, workload: &SpiffeId) -> bool;
}
