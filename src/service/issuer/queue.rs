//! The approvers' queue: listed in pages, and live.
//!
//! What an approver sees is decided by the directory in force at the moment of the answer: her workspaces, and named
//! if names were given. Whether her approval would count is the policy's answer, given with its reason when she tries.

use super::Issuer;
use crate::domain::approval::{ChallengeState, Summary, Turn};
use crate::domain::catalogue::Tier;
use crate::domain::id::WorkspaceId;
use crate::domain::policy::Bundle;
use crate::domain::policy::bundle::ActPattern;
use crate::domain::spiffe::{SpiffeId, VerifiedSvid};
use crate::domain::time::Timestamp;
use crate::service::ports::{ChallengeQuery, Entitled, ListKey, Order, Viewer};
use crate::service::refusal::Refusal;

/// How many challenges one page has at most.
pub const MAX_PAGE: u32 = 200;
/// How many turns one look at the queue takes.
pub const TURNS: u32 = 64;
/// How many turns a follower who comes back may have missed; more and she lists anew.
pub const MAX_MISSED: u32 = 1024;

/// Which challenges an approver asks for; absent means any that she may see.
#[derive(Debug, Clone, Default)]
pub struct QueueFilter {
    /// In these states; empty means any.
    pub states: Vec<ChallengeState>,
    /// Of this tier.
    pub tier: Option<Tier>,
    /// This act, or this family of acts.
    pub act: Option<ActPattern>,
    /// Of this agent.
    pub agent: Option<SpiffeId>,
    /// Of this workspace.
    pub workspace: Option<WorkspaceId>,
    /// Only those that she could still approve by the directory.
    pub mine: bool,
    /// Not opened earlier than this.
    pub since: Option<Timestamp>,
    /// Opened earlier than this.
    pub until: Option<Timestamp>,
    /// In which order.
    pub order: Order,
}

/// One page of the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueuePage {
    /// What it shows.
    pub challenges: Vec<Summary>,
    /// Behind which place there is more.
    pub next: Option<ListKey>,
}

/// Where a follower of the queue stands: the number of the entry to look at next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place(u64);

impl Place {
    /// Behind the entry `seq`.
    pub fn behind(seq: u64) -> Self {
        Self(seq.saturating_add(1))
    }

    /// The last entry that was looked at.
    pub fn seen(self) -> u64 {
        self.0.saturating_sub(1)
    }
}

/// How a follower begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// Here, and everything that happens from now on is told.
    Here(Place),
    /// Where she left off; what she missed is told first.
    Resumed(Place),
    /// Here, and what she missed is not told: list anew.
    Reset(Place),
}

/// What happened to one challenge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueEvent {
    /// The number of the entry that records it.
    pub seq: u64,
    /// What.
    pub turn: Turn,
    /// When.
    pub at: Timestamp,
    /// The challenge as it stands now.
    pub challenge: Summary,
}

impl Issuer {
    /// `GET /challenges`: a page of what `caller` may see.
    ///
    /// # Errors
    /// A refusal when the caller is no approver (on record) or the store cannot be read.
    pub async fn challenges(
        &self,
        caller: &VerifiedSvid,
        filter: &QueueFilter,
        after: Option<ListKey>,
        limit: u32,
    ) -> Result<QueuePage, Refusal> {
        let bundle = self.approver_of(caller, None).await?;
        let now = self.now();
        let limit = limit.clamp(1, MAX_PAGE);
        let mut states = distinct(&filter.states);
        if filter.mine {
            // Only what waits can be approved.
            if !states.is_empty() && !states.contains(&ChallengeState::Pending) {
                return Ok(QueuePage { challenges: Vec::new(), next: None });
            }
            states = vec![ChallengeState::Pending];
        }
        let query = ChallengeQuery {
            viewer: Some(viewer(&bundle, caller.id(), filter.workspace.as_ref())),
            // What has run out of time a moment ago is not pending; it is expired once that is on record.
            in_time_at: (!states.is_empty()).then_some(now),
            states,
            tier: filter.tier,
            act: filter.act.clone(),
            agent: filter.agent.clone(),
            entitled: if filter.mine { entitled(&bundle, caller.id()) } else { None },
            since: filter.since,
            until: filter.until,
            order: filter.order,
            after,
            limit: limit.saturating_add(1),
        };
        let mut listed = self.ports.challenges.list(&query).await?;
        let page = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = listed.len() > page;
        listed.truncate(page);
        let last = listed.last().map(|stored| key_of(&stored.value)).filter(|_| more);
        let challenges = listed.into_iter().map(|stored| stored.value.at(now)).collect();
        Ok(QueuePage { challenges, next: last })
    }

    /// `GET /challenges/events`: begins to follow the queue, from behind the entry `last` if that was seen before.
    ///
    /// # Errors
    /// A refusal when the caller is no approver (on record) or the store cannot be read.
    pub async fn follow(&self, caller: &VerifiedSvid, last: Option<u64>) -> Result<Start, Refusal> {
        let bundle = self.approver_of(caller, None).await?;
        let here = Place(self.ports.ledger.checkpoint().await?.size());
        let Some(last) = last.map(Place::behind) else { return Ok(Start::Here(here)) };
        // A number that this record does not have yet is of another record, or of one that was restored.
        if last > here {
            return Ok(Start::Reset(here));
        }
        let viewer = viewer(&bundle, caller.id(), None);
        let missed = self.ports.challenges.turns(last.0, MAX_MISSED.saturating_add(1), &viewer).await?;
        let many = missed.len() > usize::try_from(MAX_MISSED).unwrap_or(usize::MAX);
        Ok(if many { Start::Reset(here) } else { Start::Resumed(last) })
    }

    /// What happened at `place` and after it, as far as `caller` sees it by the directory in force, and where to look
    /// next. `None` once the directory does not know the caller any more.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn turns(
        &self,
        caller: &VerifiedSvid,
        place: Place,
    ) -> Result<Option<(Vec<QueueEvent>, Place)>, Refusal> {
        let bundle = self.ports.policy.bundle();
        if bundle.approver(caller.id()).is_none() {
            return Ok(None);
        }
        // Read first: whatever is written meanwhile lies behind it and is looked at the next time.
        let end = self.ports.ledger.checkpoint().await?.size();
        let viewer = viewer(&bundle, caller.id(), None);
        let found = self.ports.challenges.turns(place.0, TURNS, &viewer).await?;
        let full = found.len() >= usize::try_from(TURNS).unwrap_or(usize::MAX);
        let last = found.last().map_or(place, |(seq, ..)| Place::behind(*seq));
        let now = self.now();
        let event = |(seq, entry, challenge): (u64, crate::domain::ledger::Entry, Summary)| {
            let turn = Turn::of(&entry)?;
            Some(QueueEvent { seq, turn, at: entry.at, challenge: challenge.at(now) })
        };
        let next = if full { last } else { last.max(Place(end)) };
        Ok(Some((found.into_iter().filter_map(event).collect(), next)))
    }

    /// Waits until there is something to see at `place`, at most `millis`.
    pub async fn moved(&self, place: Place, millis: u64) {
        self.ports.challenges.moved(place.0, millis).await;
    }
}

fn key_of(challenge: &Summary) -> ListKey {
    ListKey { created_at: challenge.created_at, id: challenge.challenge_id }
}

/// The same rule as [`may_see`](super::approve::may_see), for the store.
fn viewer(bundle: &Bundle, approver: &SpiffeId, only: Option<&WorkspaceId>) -> Viewer {
    let mut workspaces = bundle.approver(approver).map(|entry| entry.workspaces.clone()).unwrap_or_default();
    workspaces.retain(|workspace| only.is_none_or(|only| workspace == only));
    Viewer { id: approver.clone(), workspaces: distinct(&workspaces) }
}

fn entitled(bundle: &Bundle, approver: &SpiffeId) -> Option<Entitled> {
    let entry = bundle.approver(approver)?;
    Some(Entitled { person: entry.person.clone(), tiers: entry.tiers.clone(), acts: entry.acts.clone() })
}

/// Each once: the store walks along each of them.
fn distinct<T: Clone + PartialEq>(values: &[T]) -> Vec<T> {
    let mut once: Vec<T> = Vec::with_capacity(values.len());
    for value in values {
        if !once.contains(value) {
            once.push(value.clone());
        }
    }
    once
}
