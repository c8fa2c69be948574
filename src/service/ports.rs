//! Every trait that the outside implements. The doc of a port is its contract: atomicity, durability, retries,
//! concurrency, and what each error promises.

use async_trait::async_trait;
use std::sync::Arc;

use crate::domain::action::{ActionName, CallPath, CallRequest, Method};
use crate::domain::approval::{Challenge, ChallengeState, Summary};
use crate::domain::catalogue::Tier;
use crate::domain::id::{ChallengeId, ConnectorId, Jti, PersonId, WorkspaceId};
use crate::domain::json::Object;
use crate::domain::ledger::{Checkpoint, Entry, EventType, Receipt};
use crate::domain::leg::{Ticket, Withdrawal};
use crate::domain::policy::bundle::ActPattern;
use crate::domain::policy::{Assessment, Bundle, Decision, IssueDecision, PolicyInput};
use crate::domain::spiffe::SpiffeId;
use crate::domain::time::Timestamp;

use super::notifier::Notice;

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

/// Whose challenges: those of the workspaces, and of those that name people, those that name this identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Viewer {
    /// The identity.
    pub id: SpiffeId,
    /// The workspaces.
    pub workspaces: Vec<WorkspaceId>,
}

/// Those that a person could still approve by the directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entitled {
    /// The person, who has not voted yet.
    pub person: PersonId,
    /// The tiers.
    pub tiers: Vec<Tier>,
    /// The acts.
    pub acts: Vec<ActPattern>,
}

/// By age.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Order {
    /// What waits longest comes first.
    #[default]
    Oldest,
    /// The newest comes first.
    Newest,
}

/// Where a challenge stands in a list; it never changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ListKey {
    /// When it was opened.
    pub created_at: Timestamp,
    /// Its id.
    pub id: ChallengeId,
}

/// Which challenges, and how many; absent means any.
#[derive(Debug, Clone, Default)]
pub struct ChallengeQuery {
    /// Only what this viewer sees.
    pub viewer: Option<Viewer>,
    /// Only in these states as stored; empty means any.
    pub states: Vec<ChallengeState>,
    /// Without those that are open as stored and whose time has run out at this instant.
    pub in_time_at: Option<Timestamp>,
    /// Only of this tier.
    pub tier: Option<Tier>,
    /// Only these acts.
    pub act: Option<ActPattern>,
    /// Only of this agent.
    pub agent: Option<SpiffeId>,
    /// Only those that may still be approved by this person.
    pub entitled: Option<Entitled>,
    /// Not opened earlier than this.
    pub since: Option<Timestamp>,
    /// Opened earlier than this.
    pub until: Option<Timestamp>,
    /// In which order.
    pub order: Order,
    /// Only what comes behind this one.
    pub after: Option<ListKey>,
    /// At most so many.
    pub limit: u32,
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
    /// a challenge is voted on, rejected, expired, withdrawn or redeemed, so each of them happens at most once.
    async fn advance(&self, version: u64, next: &Challenge, entry: Entry) -> Result<Receipt, AdvanceError>;

    /// Replaces version `version` of a challenge that ended by `earlier`, which names its successor, stores `next`, the
    /// successor, and appends `entry`: all or nothing, so a challenge has at most one successor.
    ///
    /// `AdvanceError::Conflict` when the earlier challenge is not at that version, or there is one of the successor's id.
    async fn succeed(
        &self,
        version: u64,
        earlier: &Challenge,
        next: &Challenge,
        entry: Entry,
    ) -> Result<Receipt, AdvanceError>;

    /// Open challenges whose time has run out at `now`, longest overdue first, at most `limit`.
    async fn overdue(&self, now: Timestamp, limit: u32) -> Result<Vec<Stored<Challenge>>, StoreError>;

    /// The challenges that match, in the order asked for by opening and then by id, from behind `query.after` on, at
    /// most `query.limit`. One consistent view of the store; what a challenge is ordered by never changes, so that
    /// going on behind the last one shows nothing twice and leaves out nothing that matched all along.
    async fn list(&self, query: &ChallengeQuery) -> Result<Vec<Stored<Summary>>, StoreError>;

    /// What happened to challenges from the entry `from` on, as far as `viewer` sees them: the entries that record a
    /// [`Turn`](crate::domain::approval::Turn), oldest first, at most `limit`, each with its number and with the
    /// challenge as it stands now.
    async fn turns(&self, from: u64, limit: u32, viewer: &Viewer) -> Result<Vec<(u64, Entry, Summary)>, StoreError>;

    /// Waits until a challenge changed behind the first `entries` entries of the record, or `millis` have passed.
    async fn moved(&self, entries: u64, millis: u64);

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

    /// The entries of the record that say `leg_withdrawn`, oldest first. Read at start: the record is signed, the rows
    /// are not.
    async fn recorded_withdrawals(&self) -> Result<Vec<Entry>, StoreError>;
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

/// What a ticket is asked for.
#[derive(Debug, Clone, Copy)]
pub struct TicketQuery<'a> {
    /// The act that rests on it.
    pub act: &'a ActionName,
    /// The agent that wants to act.
    pub agent: &'a SpiffeId,
    /// The agent's workspace.
    pub workspace: &'a WorkspaceId,
}

/// Why a ticket does not stand behind an act. Nothing here is secret: it is told to the agent and recorded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TicketError {
    /// No system of that name is configured.
    #[error("no ticket system of this name is configured")]
    UnknownSystem,
    /// The system does not have it, or it cannot be a ticket of that system.
    #[error("the ticket system does not know this ticket")]
    NotFound,
    /// It is there and in another state than one that approves. The state is the system's own word, shortened.
    #[error("the ticket is not approved, its state is `{0}`")]
    NotApproved(String),
    /// The system gave no usable answer in time; the text says what is wrong with it.
    #[error("the ticket system cannot be asked now: {0}")]
    Unavailable(&'static str),
}

/// The systems that hold tickets.
///
/// One question is one look at the system as it is now; nothing is cached, retried or changed there. Every method ends
/// within the system's configured time. `Ok` only when the system itself said, in that time, that the ticket is in a state
/// that the operator lists as approved: everything else is an error, and an error is a refusal.
#[async_trait]
pub trait Tickets: Send + Sync {
    /// Whether `ticket` is approved.
    async fn confirm(&self, ticket: &Ticket, about: TicketQuery<'_>) -> Result<(), TicketError>;
}

/// Why an endpoint was not told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct NotifyError {
    /// What went wrong, without the URL and without what the endpoint said.
    pub detail: String,
    /// Whether trying again is of no use.
    pub last: bool,
}

/// Tells endpoints of challenges.
///
/// One call is one attempt; it ends within the endpoint's configured time and is retried by the caller alone. `Ok` only
/// when the endpoint said that it took the notice. Dropping the future gives the attempt up; it may have arrived all the
/// same, so the same notice may come twice, under the same event id.
#[async_trait]
pub trait Notify: Send + Sync {
    /// Sends `notice` to the endpoint of that name.
    async fn deliver(&self, endpoint: &str, notice: &Notice) -> Result<(), NotifyError>;
}

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
