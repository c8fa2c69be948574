//! Who is told what becomes of a challenge: planning and order, not the sending.
//!
//! The ledger is the queue. Each endpoint has a place in it; what it is to be told is taken from the entries behind that
//! place, queued, and struck out when it was delivered. So nothing is lost by a crash: an event is delivered at least
//! once, under one id however often it is tried. Events of one challenge reach an endpoint in their order; an event that
//! fails holds back the later ones of its own challenge and no others. Nothing here decides, delays or changes a
//! challenge, and what is sent approves nothing: it says that something waits and where to look.
//!
//! Format: Standard Webhooks (<https://www.standardwebhooks.com>); its wire form is `adapters::notify`.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::ports::{Challenges, Clock, Entropy, Notify, Outbox, Queued, StoreError, Waiting};
use crate::domain::action::ActionName;
use crate::domain::approval::Challenge;
use crate::domain::catalogue::Tier;
use crate::domain::id::{ChallengeId, EventId, Sha256Digest, WorkspaceId};
use crate::domain::ledger::{Entry, EventType, Subject};
use crate::domain::spiffe::SpiffeId;
use crate::domain::time::Timestamp;

/// Events that wait for one endpoint at the most; beyond that the ledger alone remembers.
const MAX_WAITING: u64 = 10_000;
/// Events delivered before the ledger is looked at again.
const BATCH: u32 = 16;
/// Entries read from the ledger at once.
const WINDOW: u64 = 10_000;

/// What happened to a challenge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NoticeKind {
    /// It waits for approvals.
    Created,
    /// All approvals are there.
    Approved,
    /// An approver said no.
    Rejected,
    /// It ran out of time.
    Expired,
    /// Its requester took it back.
    Withdrawn,
}

impl NoticeKind {
    /// Every kind.
    pub const ALL: [Self; 5] = [Self::Created, Self::Approved, Self::Rejected, Self::Expired, Self::Withdrawn];

    /// The name in configurations.
    pub fn short(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Approved => "approved",
            Self::Rejected => "rejected",
            Self::Expired => "expired",
            Self::Withdrawn => "withdrawn",
        }
    }

    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "challenge.created",
            Self::Approved => "challenge.approved",
            Self::Rejected => "challenge.rejected",
            Self::Expired => "challenge.expired",
            Self::Withdrawn => "challenge.withdrawn",
        }
    }

    /// The challenge's state after it.
    pub fn state(self) -> &'static str {
        if self == Self::Created { "pending" } else { self.short() }
    }

    /// What an entry says of its challenge; `None` where nobody is told.
    pub fn of(entry: &Entry) -> Option<Self> {
        match entry.event_type.as_str() {
            "poa_challenge_created" => Some(Self::Created),
            // The one that completes them is the verdict.
            "poa_approval_recorded" if entry.subject.allow == Some(true) => Some(Self::Approved),
            "poa_challenge_rejected" => Some(Self::Rejected),
            "poa_challenge_expired" => Some(Self::Expired),
            "poa_challenge_withdrawn" => Some(Self::Withdrawn),
            _ => None,
        }
    }
}

/// What an endpoint is told. Never parameters, grounds, statements or texts that somebody wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// The event, the same on every attempt: who receives it twice knows by this.
    pub event_id: EventId,
    /// What happened.
    pub kind: NoticeKind,
    /// When.
    pub at: Timestamp,
    /// About what.
    pub data: NoticeData,
}

/// The challenge as an endpoint is told of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NoticeData {
    /// Its id.
    pub challenge_id: ChallengeId,
    /// Its state after the event.
    pub state: &'static str,
    /// How dangerous.
    pub tier: Tier,
    /// What is asked.
    pub act: ActionName,
    /// Who asks.
    pub agent: SpiffeId,
    /// Whose agent.
    pub workspace: WorkspaceId,
    /// How many people must agree.
    pub required: u64,
    /// How many had, with this event.
    pub approved: u64,
    /// When it stops waiting.
    pub expires_at: Timestamp,
    /// The digest of exactly what is asked, the statement's `sum`.
    pub digest: Sha256Digest,
    /// Where an approver looks. Reading it changes nothing.
    pub link: String,
}

impl Notice {
    /// What `entry` says of `challenge`; `None` where nobody is told of it.
    pub fn of(entry: &Entry, challenge: &Challenge, base: &str) -> Option<Self> {
        let kind = NoticeKind::of(entry)?;
        let draft = challenge.draft();
        let data = NoticeData {
            challenge_id: challenge.id(),
            state: kind.state(),
            tier: draft.tier,
            act: draft.ask.act.clone(),
            agent: challenge.agent().clone(),
            workspace: draft.workspace.clone(),
            required: u64::from(draft.requirement.required),
            approved: entry.subject.approvers.len() as u64,
            expires_at: challenge.expires_at(),
            digest: challenge.ask().sum(),
            link: format!("{base}/challenges/{}", challenge.id()),
        };
        Some(Self { event_id: entry.event_id, kind, at: entry.at, data })
    }
}

/// When a failed attempt is made again.
#[derive(Debug, Clone)]
pub struct RetrySchedule {
    /// The pauses between attempts.
    pub pauses: Vec<Duration>,
    /// The age of an event at which it is given up whatever the attempts.
    pub max_age: Duration,
}

impl RetrySchedule {
    /// When to try again after `attempts` failures of an event of the time `of`; `None`: give up.
    ///
    /// `jitter` spreads the pause by ±10 %, so that what failed together does not come back together.
    pub fn next(&self, attempts: u32, of: Timestamp, now: Timestamp, jitter: u8) -> Option<Timestamp> {
        let index = usize::try_from(attempts.saturating_sub(1)).ok()?;
        let pause = *self.pauses.get(index)?;
        let next = now.plus(pause * (230 + u32::from(jitter) * 51 / 255) / 255);
        (next.since(of) <= self.max_age).then_some(next)
    }
}

/// How one attempt ended, for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DeliveryOutcome {
    /// The endpoint took it.
    Delivered,
    /// It did not; tried again later.
    Failed,
    /// It did not, and no more is tried.
    Dead,
    /// Its challenge is gone from the store, so that there is nothing to say.
    Gone,
}

impl DeliveryOutcome {
    /// The name in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::Dead => "dead",
            Self::Gone => "gone",
        }
    }
}

/// Told of every attempt: the endpoint's name, and how it ended.
pub type Observer = Arc<dyn Fn(&str, DeliveryOutcome) + Send + Sync>;

/// What the notifier stands on.
pub struct NotifierPorts {
    /// The queues.
    pub outbox: Arc<dyn Outbox>,
    /// The challenges.
    pub challenges: Arc<dyn Challenges>,
    /// The way out.
    pub notify: Arc<dyn Notify>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Random bits.
    pub entropy: Arc<dyn Entropy>,
    /// Told of every attempt.
    pub observer: Observer,
}

/// Tells one endpoint.
pub struct Notifier {
    /// Its name.
    pub endpoint: String,
    /// What it is told of.
    pub events: Vec<NoticeKind>,
    /// Where approvers look.
    pub link: String,
    /// When to try again.
    pub schedule: RetrySchedule,
    /// The rest.
    pub ports: NotifierPorts,
}

/// How far an endpoint has read the ledger.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    /// The next entry to look at.
    next: u64,
    /// What of that is durable.
    kept: u64,
}

/// What a round came to.
#[derive(Debug, Clone, Copy)]
pub struct Round {
    /// Whether there is more to do at once.
    pub busy: bool,
    /// The age of the oldest event that waits.
    pub lag: Duration,
}

impl Notifier {
    /// The endpoint's place in the ledger; a new one starts at the end.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn join(&self) -> Result<Place, StoreError> {
        let next = self.ports.outbox.join(&self.endpoint).await?;
        Ok(Place { next, kept: next })
    }

    /// Reads what is new, then delivers what is due, one after the other.
    ///
    /// # Errors
    /// When the store cannot be read or written; what was not struck out is tried again.
    pub async fn round(&self, place: &mut Place) -> Result<Round, StoreError> {
        let read = self.read_on(place).await?;
        let due = self.ports.outbox.due(&self.endpoint, self.ports.clock.now(), BATCH).await?;
        let busy = read || !due.is_empty();
        for waiting in due {
            self.deliver(waiting).await?;
        }
        let oldest = self.ports.outbox.waiting(&self.endpoint).await?.oldest;
        let lag = oldest.map_or(Duration::ZERO, |oldest| self.ports.clock.now().since(oldest));
        Ok(Round { busy, lag })
    }

    /// Waits until a challenge may have changed, or `millis` have passed.
    pub async fn wait(&self, millis: u64) {
        self.ports.outbox.changed(millis).await;
    }

    /// Queues what the ledger says beyond the endpoint's place. Whether there was a whole window of it.
    async fn read_on(&self, place: &mut Place) -> Result<bool, StoreError> {
        let Place { next, kept } = *place;
        if self.ports.outbox.waiting(&self.endpoint).await?.count >= MAX_WAITING {
            return Ok(false);
        }
        let news = self.ports.outbox.news(next, WINDOW).await?;
        let wanted = |(seq, entry): (u64, Entry)| {
            NoticeKind::of(&entry).filter(|kind| self.events.contains(kind))?;
            let fresh = self.ports.clock.now().since(entry.at) <= self.schedule.max_age;
            let queued = Queued { seq, challenge_id: entry.subject.challenge_id?, at: entry.at };
            // An endpoint that comes back after days is not told what is long over.
            fresh.then_some(queued)
        };
        let queued: Vec<_> = news.entries.into_iter().filter_map(wanted).collect();
        if !queued.is_empty() || news.next.saturating_sub(kept) >= WINDOW {
            self.ports.outbox.queue(&self.endpoint, news.next, queued).await?;
            place.kept = news.next;
        }
        place.next = news.next;
        Ok(news.next.saturating_sub(next) >= WINDOW)
    }

    async fn deliver(&self, waiting: Waiting) -> Result<(), StoreError> {
        let found = match waiting.entry.subject.challenge_id {
            Some(id) => self.ports.challenges.find(id).await?,
            None => None,
        };
        let notice = found.and_then(|stored| Notice::of(&waiting.entry, &stored.value, &self.link));
        let outbox = &self.ports.outbox;
        let outcome = match notice {
            None => {
                outbox.strike(&self.endpoint, waiting.seq).await?;
                DeliveryOutcome::Gone
            }
            Some(notice) => match self.ports.notify.deliver(&self.endpoint, &notice).await {
                Ok(()) => {
                    outbox.strike(&self.endpoint, waiting.seq).await?;
                    DeliveryOutcome::Delivered
                }
                Err(failed) => self.failed(&waiting, &failed.detail, failed.last).await?,
            },
        };
        (self.ports.observer)(&self.endpoint, outcome);
        Ok(())
    }

    async fn failed(&self, waiting: &Waiting, detail: &str, last: bool) -> Result<DeliveryOutcome, StoreError> {
        let now = self.ports.clock.now();
        let attempts = waiting.attempts.saturating_add(1);
        let [jitter, ..] = self.ports.entropy.bytes();
        let next = self.schedule.next(attempts, waiting.entry.at, now, jitter).filter(|_| !last);
        if let Some(next) = next {
            self.ports.outbox.postpone(&self.endpoint, waiting.seq, attempts, next, detail).await?;
            return Ok(DeliveryOutcome::Failed);
        }
        let entry = self.dead_entry(waiting, attempts, detail, now);
        self.ports.outbox.bury(&self.endpoint, waiting.seq, attempts, detail, entry).await?;
        Ok(DeliveryOutcome::Dead)
    }

    fn dead_entry(&self, waiting: &Waiting, attempts: u32, detail: &str, now: Timestamp) -> Entry {
        let of = &waiting.entry;
        let facts = [
            ("endpoint", self.endpoint.clone()),
            ("event_id", of.event_id.to_string()),
            ("event_type", of.event_type.as_str().to_owned()),
            ("attempts", attempts.to_string()),
            ("last", detail.to_owned()),
        ];
        Entry {
            event_id: EventId::new(now, self.ports.entropy.bytes()),
            event_type: EventType::NotificationDead,
            at: now,
            workspace: of.workspace.clone(),
            subject: Subject {
                agent: of.subject.agent.clone(),
                act: of.subject.act.clone(),
                challenge_id: of.subject.challenge_id,
                detail: facts.into_iter().map(|(name, fact)| (name.to_owned(), fact)).collect(),
                ..Subject::default()
            },
        }
    }
}

#[cfg(test)]
mod tests;
