//! A candidate that is tried out: it answers the same questions on threads of its own.
//!
//! The verdict is never waited for longer because of it. The two are asked at the same time; when the verdict is there
//! and the other answer is not, it has a hundredth of a question's deadline left (5 ms by default) and is then taken for
//! `policy_timeout`. A candidate that is slow, stuck or overloaded shows as such and delays nobody beyond that.

use std::pin::pin;
use std::time::Duration;

use tokio::time::timeout;

use super::PdpPool;
use crate::domain::policy::{Assessment, CandidateMode, Decision, IssueDecision, Place, PolicyFault, PolicyInput};
use crate::domain::time::Timestamp;
use crate::service::ports::{CandidateVerdict, Judged, Opinion, PolicyPoint as _};

/// A candidate with its threads.
pub struct Trial {
    pub(super) pool: PdpPool,
    pub(super) mode: CandidateMode,
    pub(super) expires_at: Option<Timestamp>,
}

impl Trial {
    /// Tries out the bundle of `pool`.
    pub fn new(pool: PdpPool, mode: CandidateMode, expires_at: Option<Timestamp>) -> Self {
        Self { pool, mode, expires_at }
    }

    /// The bundle that is tried out.
    pub fn bundle(&self) -> std::sync::Arc<crate::domain::policy::Bundle> {
        self.pool.bundle()
    }

    pub(super) fn decides_for(&self, place: Option<Place>) -> bool {
        self.mode.decides_for(place)
    }
}

/// A question that has a yes and a no.
pub(super) trait Question: Send + Sized {
    /// What it is called in metrics.
    const NAME: &'static str;

    fn ask(pool: &PdpPool, input: PolicyInput) -> impl Future<Output = Judged<Self>> + Send;
    fn allows(&self) -> bool;
    fn reason(&self) -> String;
}

impl Question for Decision {
    const NAME: &'static str = "decide";

    fn ask(pool: &PdpPool, input: PolicyInput) -> impl Future<Output = Judged<Self>> + Send {
        pool.decide(input)
    }

    fn allows(&self) -> bool {
        self.allow
    }

    fn reason(&self) -> String {
        self.reason.clone()
    }
}

impl Question for IssueDecision {
    const NAME: &'static str = "issue";

    fn ask(pool: &PdpPool, input: PolicyInput) -> impl Future<Output = Judged<Self>> + Send {
        pool.issue(input)
    }

    fn allows(&self) -> bool {
        self.decision.allow
    }

    fn reason(&self) -> String {
        self.decision.reason.clone()
    }
}

impl Question for Assessment {
    const NAME: &'static str = "assess";

    fn ask(pool: &PdpPool, input: PolicyInput) -> impl Future<Output = Judged<Self>> + Send {
        pool.assess(input)
    }

    fn allows(&self) -> bool {
        self.met
    }

    fn reason(&self) -> String {
        match (self.met, self.fault) {
            (true, _) => "ok".to_owned(),
            (false, Some(fault)) => fault.to_string(),
            (false, None) => "approval_missing".to_owned(),
        }
    }
}

/// How a candidate's answer relates to the one of the bundle in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Agreement {
    /// Both allow, or both deny.
    Same,
    /// The candidate allows what is denied today.
    Looser,
    /// The candidate denies what is allowed today.
    Stricter,
    /// One of the two was not there in time.
    Unanswered,
}

impl Agreement {
    /// The name in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Looser => "looser",
            Self::Stricter => "stricter",
            Self::Unanswered => "unanswered",
        }
    }
}

/// The verdict of the one that decides, with both opinions.
pub(super) async fn both<T: Question>(in_force: &PdpPool, trial: &Trial, input: PolicyInput) -> (Judged<T>, Agreement) {
    let candidate_decides = trial.decides_for(input.place());
    let (decider, beside) = if candidate_decides { (&trial.pool, in_force) } else { (in_force, &trial.pool) };
    let (mut judged, other) = at_once::<T>(decider, beside, input).await;
    let answered = other.is_some();
    let decided = opinion(&judged);
    let other = other.as_ref().map_or_else(|| unanswered(beside), opinion);
    let (candidate, displaced) = if candidate_decides { (decided, Some(other)) } else { (other, None) };
    let today = displaced.as_ref().map_or_else(|| judged.verdict.allows(), |opinion| opinion.allow);
    let agreement = match (answered, today, candidate.allow) {
        (false, ..) => Agreement::Unanswered,
        (true, false, true) => Agreement::Looser,
        (true, true, false) => Agreement::Stricter,
        _ => Agreement::Same,
    };
    judged.candidate = Some(CandidateVerdict { candidate, mode: trial.mode, displaced });
    (judged, agreement)
}

/// Asks both. The second answer is there only if it came at most a little later than the first.
async fn at_once<T: Question>(
    decider: &PdpPool,
    beside: &PdpPool,
    input: PolicyInput,
) -> (Judged<T>, Option<Judged<T>>) {
    let mut other = pin!(T::ask(beside, input.clone()));
    let mut judged = pin!(T::ask(decider, input));
    let mut early = None;
    let judged = loop {
        tokio::select! {
            biased;
            judged = &mut judged => break judged,
            answer = &mut other, if early.is_none() => early = Some(answer),
        }
    };
    if early.is_some() {
        return (judged, early);
    }
    let late = timeout(grace(decider), other).await.ok();
    if late.is_none() {
        beside.replace_stuck();
    }
    (judged, late)
}

fn grace(pool: &PdpPool) -> Duration {
    pool.deadline / 100
}

fn opinion<T: Question>(judged: &Judged<T>) -> Opinion {
    Opinion {
        revision: judged.bundle.revision().clone(),
        digest: judged.bundle.digest(),
        allow: judged.verdict.allows(),
        reason: judged.verdict.reason(),
    }
}

fn unanswered(pool: &PdpPool) -> Opinion {
    let bundle = pool.bundle();
    let reason = PolicyFault::Timeout.to_string();
    Opinion { revision: bundle.revision().clone(), digest: bundle.digest(), allow: false, reason }
}
