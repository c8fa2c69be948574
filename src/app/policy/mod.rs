//! The policy while the process runs: looked for, taken through the gate, put on record, put in force; a candidate beside it.
//!
//! ```text
//! Source ──look──▶ Gate ──Admitted──▶ engines prepared ──▶ last good kept ──▶ `policy_activated` ──▶ in force
//!    ▲               └──Refused──▶ `policy_refused` (once a digest); what is in force stays
//!    └── every poll_seconds, when the endpoint has news, at SIGHUP
//! ```
//!
//! INVARIANT: a bundle is in force only after its activation is durable, and every step that can fail is before that. The
//! archive is kept before the record says that it was in force: after a crash between the two, a start without the network
//! finds a bundle that is not older than the record.

mod activate;
mod gate;
mod start;
mod watch;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Map, Value, json};

use crate::adapters::bundle_source::LastGood;
use crate::domain::id::Sha256Digest;
use crate::domain::policy::{Bundle, CandidateMode};
use crate::domain::time::Timestamp;

pub(super) use activate::{activation, keep, refuse};
use gate::{Admitted, Highest, Refused};
pub(super) use gate::{BundleFacts, Gate};
pub(super) use start::{Started, check, start};
pub(super) use watch::start as watch;

/// Refusals that are remembered, so that each is written down once.
const MAX_REMEMBERED: usize = 64;

/// What a process knows of its policy beside the bundle itself.
pub(super) struct PolicyState {
    pub(super) gate: Arc<Gate>,
    pub(super) last_good: Option<LastGood>,
    inner: Mutex<Inner>,
}

struct Inner {
    highest: Option<Highest>,
    in_force: Shown,
    candidate: Option<(Shown, CandidateMode)>,
    refused: VecDeque<(Role, Option<Sha256Digest>, &'static str)>,
}

/// What a bundle is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Role {
    InForce,
    Candidate,
}

impl Role {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::InForce => "in_force",
            Self::Candidate => "candidate",
        }
    }
}

/// A bundle as operators are shown it.
#[derive(Debug, Clone)]
struct Shown {
    revision: String,
    digest: Sha256Digest,
    facts: BundleFacts,
    activated_at: Timestamp,
}

impl Shown {
    fn of(bundle: &Bundle, facts: &BundleFacts, activated_at: Timestamp) -> Self {
        Self { revision: bundle.revision().to_string(), digest: bundle.digest(), facts: facts.clone(), activated_at }
    }

    fn members(&self) -> Map<String, Value> {
        let members = [
            ("revision", json!(self.revision)),
            ("digest", json!(self.digest.to_string())),
            ("source", json!(self.facts.origin.as_str())),
            ("sequence", json!(self.facts.sequence.map(|sequence| sequence.as_u64()))),
            ("signed_by", json!(self.facts.signed_by.as_ref().map(ToString::to_string))),
            ("expires_at", json!(self.facts.expires_at)),
            ("activated_at", json!(self.activated_at)),
        ];
        members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }
}

impl PolicyState {
    pub(super) fn new(
        gate: Arc<Gate>,
        last_good: Option<LastGood>,
        highest: Option<Highest>,
        first: (&Bundle, &BundleFacts, Timestamp),
    ) -> Self {
        let in_force = Shown::of(first.0, first.1, first.2);
        let inner = Inner { highest, in_force, candidate: None, refused: VecDeque::new() };
        Self { gate, last_good, inner: Mutex::new(inner) }
    }

    pub(super) fn highest(&self) -> Option<Highest> {
        self.lock().highest
    }

    /// The highest sequence with this bundle.
    fn highest_with(&self, bundle: &Bundle, facts: &BundleFacts) -> Option<Highest> {
        Highest::after(self.highest(), bundle, facts)
    }

    fn activated(&self, bundle: &Bundle, facts: &BundleFacts, now: Timestamp) {
        let highest = self.highest_with(bundle, facts);
        let mut inner = self.lock();
        inner.highest = highest;
        inner.in_force = Shown::of(bundle, facts, now);
    }

    fn tried(&self, bundle: &Bundle, facts: &BundleFacts, now: Timestamp, mode: CandidateMode) {
        self.lock().candidate = Some((Shown::of(bundle, facts, now), mode));
    }

    /// Whether this refusal is a new one.
    fn is_news(&self, role: Role, refused: &Refused) -> bool {
        let mut inner = self.lock();
        let known = (role, refused.digest, refused.reason);
        if inner.refused.contains(&known) {
            return false;
        }
        if inner.refused.len() >= MAX_REMEMBERED {
            inner.refused.pop_front();
        }
        inner.refused.push_back(known);
        true
    }

    /// A refusal that could not be written down.
    fn forget(&self, role: Role, refused: &Refused) {
        self.lock().refused.retain(|known| *known != (role, refused.digest, refused.reason));
    }

    /// Since when what is in force, with its end and its sequence.
    pub(super) fn in_force(&self) -> (Timestamp, Option<Timestamp>, Option<u64>) {
        let inner = self.lock();
        let facts = &inner.in_force.facts;
        (inner.in_force.activated_at, facts.expires_at, facts.sequence.map(Into::into))
    }

    /// For `/ready`.
    pub(super) fn to_value(&self) -> Value {
        let inner = self.lock();
        let mut members = inner.in_force.members();
        if let Some((shown, mode)) = &inner.candidate {
            let mut candidate = shown.members();
            candidate.insert("mode".to_owned(), json!(mode.as_str()));
            if let CandidateMode::Rollout(share) = mode {
                candidate.insert("percent".to_owned(), json!(share.percent()));
            }
            members.insert("candidate".to_owned(), Value::Object(candidate));
        }
        Value::Object(members)
    }

    /// The state has no invariant that a panicking holder could have left broken.
    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Highest {
    /// The highest of before and of this bundle.
    pub(super) fn after(before: Option<Self>, bundle: &Bundle, facts: &BundleFacts) -> Option<Self> {
        let this = facts.sequence.map(|sequence| Self { sequence, digest: bundle.digest() });
        match (before, this) {
            (Some(before), Some(this)) if this.sequence <= before.sequence => Some(before),
            (before, this) => this.or(before),
        }
    }
}
