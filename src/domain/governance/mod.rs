//! Figures of governance: what the record says of how the boundary is run over a period.
//!
//! Pure arithmetic over entries in the order of the record. Nothing here judges a case; `docs/governance-metrics.md`
//! defines each figure, and the names of the members are the ones used there. A figure whose base is empty is `None`,
//! never 0: no escalation is not an escalation rate of nothing.

mod score;
mod tally;
mod waiting;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::Serialize;

pub use score::{Integrity, Part, Score};
pub use tally::Tally;

use crate::domain::time::Timestamp;

/// The figures of one period.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// From when, to when, and of what.
    pub period: Period,
    /// How much was decided.
    pub volume: Volume,
    /// Requests for a mandate that people were asked about, as a share of all that were judged.
    pub escalation_rate: Option<Share>,
    /// Escalations that people approved, as a share of all that came to an end.
    pub override_rate: Option<Share>,
    /// Evaluations that were a denial, as a share of all.
    pub denial_rate: Option<Share>,
    /// Why, most frequent first.
    pub denial_reasons: Vec<(String, u64)>,
    /// How long approvers took.
    pub response: Response,
    /// Acts that the catalogue knows, as a share of all acts that were asked for.
    pub policy_coverage: Option<Share>,
    /// Acts that were asked for and are in no catalogue.
    pub uncovered_acts: Vec<String>,
    /// Evaluations by risk score.
    pub risk: Risk,
    /// What was denied and later allowed unchanged.
    pub false_positives: FalsePositives,
    /// The governance score with its parts.
    pub score: Score,
}

/// What a report is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Period {
    /// The first instant that counts.
    pub since: Timestamp,
    /// The first instant that does not count any more.
    pub until: Timestamp,
    /// The workspace, if only one was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workspace: Option<String>,
    /// Entries that were read.
    pub entries: u64,
}

/// How much was decided.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Volume {
    /// Requests for a mandate and calls together.
    pub evaluations: u64,
    /// Requests for a mandate that were judged.
    pub requests: u64,
    /// Mandates minted.
    pub mandates: u64,
    /// Calls that were judged.
    pub calls: u64,
    /// Replays that were blocked.
    pub replays: u64,
    /// Evaluations by tier; `unknown` where the act has none.
    pub by_tier: BTreeMap<String, u64>,
}

/// A part of a whole that is not empty.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Share {
    /// How many.
    pub part: u64,
    /// Out of how many.
    pub of: u64,
    /// In per cent, 0 to 100.
    pub percent: f64,
}

impl Share {
    /// `part` of `of`; none where `of` is 0.
    pub fn new(part: u64, of: u64) -> Option<Self> {
        #[expect(clippy::cast_precision_loss, reason = "a ledger has fewer than 2^52 entries")]
        let percent = |part: u64| part as f64 * 100.0 / of as f64;
        (of > 0).then(|| Self { part, of, percent: percent(part.min(of)) })
    }
}

/// How long escalations waited for people.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Response {
    /// Escalations that somebody answered for the first time in the period.
    pub answered: u64,
    /// From the escalation to the first vote, on average, in seconds.
    pub first_mean_seconds: Option<f64>,
    /// The same, the 95th percentile by nearest rank.
    pub first_p95_seconds: Option<f64>,
    /// Escalations that people decided in the period.
    pub decided: u64,
    /// From the escalation to the vote that decided it, on average, in seconds.
    pub mean_seconds: Option<f64>,
    /// The same, the 95th percentile by nearest rank.
    pub p95_seconds: Option<f64>,
    /// Escalations that ran out of time unanswered or undecided.
    pub expired: u64,
}

/// The distribution of risk scores.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Risk {
    /// Evaluations with a score.
    pub scored: u64,
    /// By score: 0 to 19, 20 to 39, 40 to 59, 60 to 79, 80 to 100.
    pub buckets: [u64; 5],
    /// The arithmetic mean.
    pub mean: Option<f64>,
    /// The 95th percentile by nearest rank.
    pub p95: Option<u8>,
}

/// Denials that turned out to be wrong: the same agent was allowed the same act with the same content soon after.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct FalsePositives {
    /// As a share of all denials that name what was asked.
    pub rate: Option<Share>,
    /// By the reason of the denial.
    pub reasons: Vec<(String, u64)>,
    /// Whether more denials than can be held in mind fell into the period, so that some were not followed up.
    pub partial: bool,
}
