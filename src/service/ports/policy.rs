//! The policy decision point.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;

use crate::domain::id::{Revision, Sha256Digest};
use crate::domain::policy::{Assessment, Bundle, CandidateMode, Decision, IssueDecision, PolicyFault, PolicyInput};
use crate::domain::spiffe::SpiffeId;

/// A verdict, and the bundle that gave it: the one to name in mandates and records, even if another was activated since.
#[derive(Debug, Clone)]
pub struct Judged<T> {
    /// The verdict.
    pub verdict: T,
    /// The bundle.
    pub bundle: Arc<Bundle>,
    /// What a candidate says to the same question, where one is tried out.
    pub candidate: Option<CandidateVerdict>,
}

impl<T> Judged<T> {
    /// A verdict while no candidate is tried out.
    pub fn new(verdict: T, bundle: Arc<Bundle>) -> Self {
        Self { verdict, bundle, candidate: None }
    }
}

/// What one bundle says to a question, for the record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opinion {
    /// The bundle.
    pub revision: Revision,
    /// Its digest.
    pub digest: Sha256Digest,
    /// Whether it allows.
    pub allow: bool,
    /// `ok` or why not; `policy_timeout` where its answer was not waited for.
    pub reason: String,
}

/// A candidate's answer beside the verdict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CandidateVerdict {
    /// What it says.
    pub candidate: Opinion,
    /// What it is tried out for.
    pub mode: CandidateMode,
    /// Where the candidate's answer is the verdict: what the bundle in force for everybody else says.
    pub displaced: Option<Opinion>,
}

impl CandidateVerdict {
    /// Writes both verdicts into an entry's detail; the one that counts is the entry's own.
    pub fn note(&self, detail: &mut BTreeMap<String, String>) {
        detail.insert("candidate_mode".to_owned(), self.mode.as_str().to_owned());
        if let CandidateMode::Rollout(share) = self.mode {
            detail.insert("candidate_percent".to_owned(), share.percent().to_string());
        }
        let displaced = self.displaced.as_ref().map(|opinion| ("displaced", opinion));
        for (whose, opinion) in [("candidate", &self.candidate)].into_iter().chain(displaced) {
            detail.insert(format!("{whose}_revision"), opinion.revision.to_string());
            detail.insert(format!("{whose}_digest"), opinion.digest.to_string());
            detail.insert(format!("{whose}_allow"), opinion.allow.to_string());
            detail.insert(format!("{whose}_reason"), opinion.reason.clone());
        }
    }
}

/// The policy decision point, over the bundle in force.
///
/// No method fails: an error of the engine, a deadline, an undefined or malformed answer is a denial with its own reason.
#[async_trait]
pub trait PolicyPoint: Send + Sync {
    /// The bundle in force.
    fn bundle(&self) -> Arc<Bundle>;

    /// The bundle that decides for `agent`: the one in force, or a candidate that is rolled out to it.
    fn bundle_for(&self, agent: &SpiffeId) -> Arc<Bundle>;

    /// `data.atb.poa.decision` for a call.
    async fn decide(&self, input: PolicyInput) -> Judged<Decision>;

    /// `data.atb.issue.decision` for a request for a mandate.
    async fn issue(&self, input: PolicyInput) -> Judged<IssueDecision>;

    /// `data.atb.approval.assessment`: which approvals count.
    async fn assess(&self, input: PolicyInput) -> Judged<Assessment>;

    /// Any rule, `rule` being what follows `data.`: its value, or the fault; [`PolicyFault::Undefined`] also where there
    /// is no such rule. The bundle is the one in force when the question was put.
    async fn query(&self, rule: &str, input: PolicyInput) -> Judged<Result<serde_json::Value, PolicyFault>>;
}
