//! Entries in, figures out, in one pass and bounded memory.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use super::score::{Integrity, Score};
use super::waiting::{End, Waiting};
use super::{FalsePositives, Period, Report, Risk, Share, Volume};
use crate::domain::action::ActionName;
use crate::domain::id::{Sha256Digest, WorkspaceId};
use crate::domain::ledger::{Entry, EventType, Subject};
use crate::domain::policy::RiskScore;
use crate::domain::spiffe::SpiffeId;
use crate::domain::time::Timestamp;

/// A denial counts as a false positive when the same was allowed within this time.
const RECONSIDERED: Duration = Duration::from_secs(24 * 3600);
/// Denials that are followed up at once.
const MAX_DENIALS: usize = 200_000;
/// Names of acts and reasons that are told apart; the names come from requests.
const MAX_NAMES: usize = 10_000;
/// Names that the report shows of each list.
const SHOWN: usize = 20;
/// What stands for the names beyond [`MAX_NAMES`].
const OTHERS: &str = "(others)";

/// What is the same in a denial and a later allow: who, what act, what content.
type Question = (SpiffeId, ActionName, Sha256Digest);

#[derive(Debug)]
struct Denial {
    at: Timestamp,
    reason: String,
}

/// Counts entries that are given in the order of the record.
#[derive(Debug)]
pub struct Tally {
    since: Timestamp,
    until: Timestamp,
    workspace: Option<WorkspaceId>,
    entries: u64,
    volume: Volume,
    escalations: u64,
    denials: u64,
    reasons: BTreeMap<String, u64>,
    waiting: Waiting,
    /// Acts that were asked for, and whether the catalogue had them.
    acts: BTreeMap<String, bool>,
    scores: [u64; RiskScore::MAX as usize + 1],
    /// Denials not yet followed by an allow.
    denied: HashMap<Question, Denial>,
    followed: u64,
    reconsidered: BTreeMap<String, u64>,
    partial: bool,
}

impl Tally {
    /// For the entries from `since` until before `until`, of one workspace or of all.
    pub fn new(since: Timestamp, until: Timestamp, workspace: Option<WorkspaceId>) -> Self {
        Self {
            since,
            until,
            workspace,
            entries: 0,
            volume: Volume::default(),
            escalations: 0,
            denials: 0,
            reasons: BTreeMap::new(),
            waiting: Waiting::default(),
            acts: BTreeMap::new(),
            scores: [0; RiskScore::MAX as usize + 1],
            denied: HashMap::new(),
            followed: 0,
            reconsidered: BTreeMap::new(),
            partial: false,
        }
    }

    /// From when on entries are worth giving: escalations that began earlier end in the period.
    pub fn read_from(&self) -> Timestamp {
        self.since.minus(RECONSIDERED)
    }

    /// One entry. Those of other workspaces and after the period are passed over; those before it only open escalations.
    pub fn add(&mut self, entry: &Entry) {
        if entry.at >= self.until || self.workspace.as_ref().is_some_and(|only| *only != entry.workspace) {
            return;
        }
        let counts = entry.at >= self.since;
        self.follow_escalation(entry, counts);
        if !counts {
            return;
        }
        self.entries += 1;
        let subject = &entry.subject;
        match entry.event_type {
            // A mandate that was minted on approvals was judged when they were asked for.
            EventType::PoaIssued | EventType::PoaIssuedDualControl => {
                self.volume.mandates += 1;
                if subject.challenge_id.is_none() {
                    self.request(entry, true);
                }
                self.follow_denial(entry.at, subject, true);
            }
            EventType::PoaChallengeCreated => {
                self.escalations += 1;
                self.request(entry, true);
            }
            EventType::PoaDenied => {
                self.request(entry, false);
                self.follow_denial(entry.at, subject, false);
            }
            EventType::BrokerDecision => {
                let allowed = subject.allow == Some(true);
                self.volume.calls += 1;
                self.evaluated(subject, allowed);
                self.follow_denial(entry.at, subject, allowed);
            }
            EventType::PoaSingleUseReplayBlocked => self.volume.replays += 1,
            _ => {}
        }
    }

    /// The figures. `integrity` is what a verification of the record said.
    pub fn report(self, integrity: Integrity) -> Report {
        let evaluations = self.volume.evaluations;
        let (known, uncovered): (Vec<_>, Vec<_>) = self.acts.iter().partition(|(_, known)| **known);
        let policy_coverage = Share::new(known.len() as u64, self.acts.len() as u64);
        let override_rate = Share::new(self.waiting.approved, self.waiting.ends());
        let response = self.waiting.response();
        let score = Score::of(policy_coverage, &response, override_rate, integrity);
        Report {
            period: Period {
                since: self.since,
                until: self.until,
                workspace: self.workspace.map(|workspace| workspace.to_string()),
                entries: self.entries,
            },
            escalation_rate: Share::new(self.escalations, self.volume.requests),
            override_rate,
            denial_rate: Share::new(self.denials, evaluations),
            denial_reasons: most_frequent(self.reasons),
            response,
            policy_coverage,
            uncovered_acts: uncovered.into_iter().map(|(act, _)| act.clone()).take(SHOWN).collect(),
            risk: distribution(&self.scores),
            false_positives: FalsePositives {
                rate: Share::new(self.reconsidered.values().sum(), self.followed),
                reasons: most_frequent(self.reconsidered),
                partial: self.partial,
            },
            volume: self.volume,
            score,
        }
    }

    fn follow_escalation(&mut self, entry: &Entry, counts: bool) {
        let (id, at) = (entry.subject.challenge_id, entry.at);
        let end = match entry.event_type {
            EventType::PoaChallengeCreated => {
                if let Some(id) = id {
                    self.waiting.opened(id, at);
                }
                return;
            }
            EventType::PoaApprovalRecorded => {
                if let Some(id) = id {
                    self.waiting.voted(id, at, counts);
                }
                // The verdict falls with the last approval.
                if entry.subject.allow != Some(true) {
                    return;
                }
                End::Approved
            }
            EventType::PoaChallengeRejected => {
                if let Some(id) = id {
                    self.waiting.voted(id, at, counts);
                }
                End::Rejected
            }
            EventType::PoaChallengeExpired => End::Expired,
            EventType::PoaChallengeWithdrawn => End::Withdrawn,
            _ => return,
        };
        self.waiting.ended(id, at, end, counts);
    }

    fn request(&mut self, entry: &Entry, allowed: bool) {
        self.volume.requests += 1;
        self.evaluated(&entry.subject, allowed);
    }

    fn evaluated(&mut self, subject: &Subject, allowed: bool) {
        self.volume.evaluations += 1;
        let tier = subject.tier.map_or("unknown", |tier| tier.as_str());
        *self.volume.by_tier.entry(tier.to_owned()).or_default() += 1;
        if let Some(act) = &subject.act {
            let name = bounded(&self.acts, act.as_str());
            let known = self.acts.entry(name).or_default();
            *known |= subject.tier.is_some();
        }
        if let Some(score) = subject.risk_score
            && let Some(count) = self.scores.get_mut(usize::from(score.as_u8()))
        {
            *count += 1;
        }
        if !allowed {
            self.denials += 1;
            let reason = subject.reason.as_deref().unwrap_or("unknown");
            let name = bounded(&self.reasons, reason);
            *self.reasons.entry(name).or_default() += 1;
        }
    }

    /// Denials that the policy gave; what is refused for its form comes back in another form.
    fn follow_denial(&mut self, at: Timestamp, subject: &Subject, allowed: bool) {
        let (Some(agent), Some(act), Some(content)) = (&subject.agent, &subject.act, subject.request_digest) else {
            return;
        };
        let question = (agent.clone(), act.clone(), content);
        if allowed {
            if let Some(denial) = self.denied.remove(&question)
                && at.since(denial.at) <= RECONSIDERED
            {
                let name = bounded(&self.reconsidered, &denial.reason);
                *self.reconsidered.entry(name).or_default() += 1;
            }
            return;
        }
        if subject.rule.is_none() {
            return;
        }
        self.followed += 1;
        if self.denied.len() >= MAX_DENIALS {
            self.partial = true;
            return;
        }
        let reason = subject.reason.clone().unwrap_or_else(|| "unknown".to_owned());
        self.denied.entry(question).or_insert(Denial { at, reason });
    }
}

/// `name`, or what stands for the rest where there are too many.
fn bounded<V>(names: &BTreeMap<String, V>, name: &str) -> String {
    if names.len() < MAX_NAMES || names.contains_key(name) { name.to_owned() } else { OTHERS.to_owned() }
}

fn most_frequent(names: BTreeMap<String, u64>) -> Vec<(String, u64)> {
    let mut names: Vec<_> = names.into_iter().collect();
    names.sort_by(|(a, x), (b, y)| y.cmp(x).then_with(|| a.cmp(b)));
    names.truncate(SHOWN);
    names
}

fn distribution(scores: &[u64]) -> Risk {
    let scored: u64 = scores.iter().sum();
    let mut risk = Risk { scored, ..Risk::default() };
    let (mut sum, mut seen, rank) = (0, 0, (scored * 95).div_ceil(100));
    for (score, count) in (0u8..).zip(scores) {
        if let Some(bucket) = risk.buckets.get_mut(usize::from(score / 20).min(4)) {
            *bucket += count;
        }
        sum += u64::from(score) * count;
        seen += count;
        if risk.p95.is_none() && scored > 0 && seen >= rank {
            risk.p95 = Some(score);
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "a ledger has fewer than 2^45 entries")]
    let mean = |sum: u64| sum as f64 / scored as f64;
    risk.mean = (scored > 0).then(|| mean(sum));
    risk
}

#[cfg(test)]
mod laws {
    use super::*;
    use crate::domain::governance::waiting::p95;

    #[test]
    fn the_95th_percentile_is_the_nearest_rank() {
        let ranks: Vec<u32> = (1..=100).collect();
        assert_eq!(p95(&ranks), Some(95));
        assert_eq!(p95(&ranks[..20]), Some(19));
        assert_eq!(p95(&ranks[..1]), Some(1));
        assert_eq!(p95::<u32>(&[]), None);
    }

    #[test]
    fn scores_fall_into_fifths() {
        let mut scores = [0; 101];
        for score in [0, 19, 20, 59, 60, 80, 100] {
            scores[score] = 1;
        }
        let risk = distribution(&scores);
        assert_eq!(risk.buckets, [2, 1, 1, 1, 2]);
        assert_eq!(risk.p95, Some(100));
    }
}
