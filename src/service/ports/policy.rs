//! The policy decision point.

use std::sync::Arc;

use async_trait::async_trait;

use crate::domain::policy::{Assessment, Bundle, Decision, IssueDecision, PolicyFault, PolicyInput};

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

    /// Any rule, `rule` being what follows `data.`: its value, or the fault; [`PolicyFault::Undefined`] also where there
    /// is no such rule. The bundle is the one in force when the question was put.
    async fn query(&self, rule: &str, input: PolicyInput) -> Judged<Result<serde_json::Value, PolicyFault>>;
}
