//! May it act: the policy's input, its verdicts, the bundle that holds the policy, and the engine that evaluates it.
//!
//! Rego is evaluated by regorus inside a safe profile: [`bundle`] admits only texts for which regorus gives OPA's
//! answer, [`engine`] turns every fault into a denial.

pub mod bundle;
#[cfg(test)]
mod corpus;
mod decision;
pub mod engine;
mod input;
pub mod profile;

pub use bundle::Bundle;
pub use decision::{
    Assessment, CountedApproval, Decision, Excluded, IssueDecision, PolicyFault, RefusedApproval, Requirement,
    Violation,
};
pub use input::{AgentFacts, ApprovalFact, OnBehalfOf, Phase, PolicyFacts, PolicyInput, RequestFacts};
