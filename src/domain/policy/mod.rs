//! May it act: the policy's input, its verdicts, the bundle that holds the policy, and the engine that evaluates it.
//!
//! Rego is evaluated by regorus inside a safe profile: [`bundle`] admits only texts for which regorus gives OPA's
//! answer, [`engine`] turns every fault into a denial.

pub mod bundle;
#[cfg(test)]
mod corpus;
mod counters;
mod decision;
pub mod engine;
mod input;
pub mod profile;
mod rollout;

pub use bundle::Bundle;
pub use counters::{CallCounters, CallSlot, Counters, CountersFull, WINDOWS, Windows};
pub use decision::{
    Assessment, CountedApproval, Decision, Excluded, IssueDecision, PolicyFault, RefusedApproval, Requirement, Risk,
    RiskContribution, RiskScore, RiskScoreError, Violation,
};
pub use input::{
    AgentFacts, ApprovalFact, Environment, OnBehalfOf, Phase, PlatformFacts, PolicyFacts, PolicyInput, RequestFacts,
};
pub use rollout::{CandidateMode, Place, Share};
