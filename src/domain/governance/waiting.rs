//! Durations of escalations, from the entries that begin and end them.

use std::collections::HashMap;

use super::Response;
use crate::domain::id::ChallengeId;
use crate::domain::time::Timestamp;

/// Escalations that are followed at once; the rest are counted as ended but not timed.
const MAX_OPEN: usize = 200_000;

/// How an escalation came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Approved,
    Rejected,
    Expired,
    Withdrawn,
}

#[derive(Debug)]
struct Open {
    since: Timestamp,
    answered: bool,
}

/// Escalations that were opened, and how long those waited that were answered.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    open: HashMap<ChallengeId, Open>,
    first: Vec<u64>,
    decided: Vec<u64>,
    pub(super) approved: u64,
    pub(super) rejected: u64,
    pub(super) expired: u64,
    pub(super) withdrawn: u64,
}

impl Waiting {
    /// An escalation began. Those before the period are told too, so that their end can be timed.
    pub(super) fn opened(&mut self, id: ChallengeId, at: Timestamp) {
        if self.open.len() < MAX_OPEN {
            self.open.entry(id).or_insert(Open { since: at, answered: false });
        }
    }

    /// Somebody voted; `counts` when that fell into the period.
    pub(super) fn voted(&mut self, id: ChallengeId, at: Timestamp, counts: bool) {
        let Some(open) = self.open.get_mut(&id) else { return };
        if !open.answered && counts {
            self.first.push(millis_between(open.since, at));
        }
        open.answered = true;
    }

    /// It ended; `counts` when that fell into the period.
    pub(super) fn ended(&mut self, id: Option<ChallengeId>, at: Timestamp, end: End, counts: bool) {
        let open = id.and_then(|id| self.open.remove(&id));
        if !counts {
            return;
        }
        match end {
            End::Approved => self.approved += 1,
            End::Rejected => self.rejected += 1,
            End::Expired => self.expired += 1,
            End::Withdrawn => self.withdrawn += 1,
        }
        if let (Some(open), End::Approved | End::Rejected) = (open, end) {
            self.decided.push(millis_between(open.since, at));
        }
    }

    /// Escalations that came to an end in the period. One that the agent took back was decided by nobody.
    pub(super) fn ends(&self) -> u64 {
        self.approved + self.rejected + self.expired
    }

    pub(super) fn response(mut self) -> Response {
        self.first.sort_unstable();
        self.decided.sort_unstable();
        Response {
            answered: self.first.len() as u64,
            first_mean_seconds: mean(&self.first),
            first_p95_seconds: p95(&self.first).map(seconds),
            decided: self.decided.len() as u64,
            mean_seconds: mean(&self.decided),
            p95_seconds: p95(&self.decided).map(seconds),
            expired: self.expired,
        }
    }
}

fn millis_between(from: Timestamp, to: Timestamp) -> u64 {
    to.as_millis().saturating_sub(from.as_millis())
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds of a wait")]
fn seconds(millis: u64) -> f64 {
    millis as f64 / 1000.0
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds of some hundred thousand waits")]
fn mean(sorted: &[u64]) -> Option<f64> {
    (!sorted.is_empty()).then(|| sorted.iter().sum::<u64>() as f64 / sorted.len() as f64 / 1000.0)
}

/// The 95th percentile by nearest rank: the smallest value that at least 95 in 100 do not exceed.
pub(super) fn p95<T: Copy>(sorted: &[T]) -> Option<T> {
    let rank = (sorted.len() * 95).div_ceil(100);
    rank.checked_sub(1).and_then(|index| sorted.get(index)).copied()
}
