//! The challenges, one by one and as lists.

use async_trait::async_trait;

use super::ledger::StoreError;
use crate::domain::approval::{Challenge, ChallengeState, Summary};
use crate::domain::catalogue::Tier;
use crate::domain::id::{ChallengeId, PersonId, WorkspaceId};
use crate::domain::ledger::{Entry, Receipt};
use crate::domain::policy::bundle::ActPattern;
use crate::domain::spiffe::SpiffeId;
use crate::domain::time::Timestamp;

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

/// The challenges. The same transaction and durability rules as [`Ledger`](super::Ledger): state and record change together.
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
