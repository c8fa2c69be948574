//! What the policy answers. Every reading of an answer ends in a verdict; what cannot be read is a denial.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::domain::catalogue::Tier;
use crate::domain::id::PersonId;
use crate::domain::role::RoleClass;
use crate::domain::spiffe::SpiffeId;

/// Why there is no answer of the policy to go by; each is a denial with this reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum PolicyFault {
    /// The rule is undefined for this input.
    #[error("policy_undefined")]
    Undefined,
    /// The answer does not have the shape of a decision (a non-boolean `allow` among others).
    #[error("policy_malformed")]
    Malformed,
    /// The engine reported an error.
    #[error("policy_error")]
    Error,
    /// No answer within the deadline.
    #[error("policy_timeout")]
    Timeout,
    /// The engine panicked.
    #[error("policy_panic")]
    Panic,
    /// Every engine is busy and the queue is full.
    #[error("policy_overloaded")]
    Overloaded,
}

/// One rule that the request breaks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Violation {
    /// The reason code.
    pub rule: String,
    /// RFC 6901 pointer into the policy's input.
    pub pointer: String,
    /// One sentence.
    pub detail: String,
}

/// How risky the policy holds what is asked to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Risk {
    /// What the contributions come to.
    pub score: RiskScore,
    /// What it is made of.
    pub contributions: Vec<RiskContribution>,
}

/// One part of a risk score.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RiskContribution {
    /// What adds to the risk, by name.
    pub factor: String,
    /// How much; below zero where it takes away from the risk.
    pub points: i32,
}

/// A whole number from 0 to 100.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct RiskScore(u8);

impl RiskScore {
    /// The highest.
    pub const MAX: u8 = 100;

    /// The number.
    pub fn as_u8(self) -> u8 {
        self.0
    }
}

impl TryFrom<u64> for RiskScore {
    type Error = RiskScoreError;

    fn try_from(number: u64) -> Result<Self, RiskScoreError> {
        u8::try_from(number).ok().filter(|n| *n <= Self::MAX).map(Self).ok_or(RiskScoreError)
    }
}

impl From<RiskScore> for u64 {
    fn from(score: RiskScore) -> Self {
        score.0.into()
    }
}

/// A number that is no risk score.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a whole number from 0 to 100")]
pub struct RiskScoreError;

/// The verdict on one call: `data.atb.poa.decision`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// Whether the call may be made.
    pub allow: bool,
    /// `ok` or the most specific reason of the denial.
    pub reason: String,
    /// The act's tier by the catalogue; none for an act that it does not have.
    pub tier: Option<Tier>,
    /// What would have to be there.
    #[serde(default)]
    pub missing: Vec<Value>,
    /// What the enforcing side must do when it allows.
    #[serde(default)]
    pub obligations: Vec<Value>,
    /// What the verdict rests on, `layer:what`, in the order of the layers.
    #[serde(default)]
    pub matched: Vec<String>,
    /// Every rule that the call breaks.
    #[serde(default)]
    pub violations: Vec<Violation>,
    /// How risky it is, where the policy says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub risk: Option<Risk>,
}

impl Decision {
    /// The denial that stands for a missing answer.
    pub fn fault(fault: PolicyFault) -> Self {
        Self {
            allow: false,
            reason: fault.to_string(),
            tier: None,
            missing: Vec::new(),
            obligations: Vec::new(),
            matched: Vec::new(),
            violations: Vec::new(),
            risk: None,
        }
    }

    /// The risk score alone, for the record.
    pub fn risk_score(&self) -> Option<RiskScore> {
        self.risk.as_ref().map(|risk| risk.score)
    }
}

/// Who never counts, and nobody who acts for them either.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Excluded {
    /// Who answers for the act by its ground.
    AccountableParty,
    /// Who operates the agent that asks.
    Operator,
    /// The agent that asks.
    Requester,
}

/// Who must agree before a mandate is issued: `data.atb.approval.requirement`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Requirement {
    /// Distinct people who must approve.
    pub required: u32,
    /// How many of them must have a role of each class.
    pub roles: BTreeMap<RoleClass, u32>,
    /// Who never counts.
    pub excluded: Vec<Excluded>,
    /// Whether an approval on behalf of another counts.
    pub delegable: bool,
    /// Whether the ground must name a ticket.
    pub ticket: bool,
    /// How long the challenge waits, in seconds.
    pub challenge_seconds: u64,
    /// The longest lifetime of such a mandate, in seconds.
    pub max_ttl_seconds: u64,
}

/// The verdict on a request for a mandate: `data.atb.issue.decision`. `allow` means: may be issued once `requirement`
/// is met.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IssueDecision {
    /// The verdict.
    #[serde(flatten)]
    pub decision: Decision,
    /// Who must agree; none when denied.
    #[serde(default)]
    pub requirement: Option<Requirement>,
}

impl IssueDecision {
    /// The denial that stands for a missing answer.
    pub fn fault(fault: PolicyFault) -> Self {
        Self { decision: Decision::fault(fault), requirement: None }
    }
}

/// One approval that counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CountedApproval {
    /// The identity that signed.
    pub id: SpiffeId,
    /// The person behind it.
    pub person: PersonId,
    /// The classes of roles that it brings: that person's, or the delegator's.
    pub roles: Vec<RoleClass>,
    /// The person whom it was given on behalf of, where that is another; both are used up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_behalf_of: Option<PersonId>,
}

/// One approval that does not count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedApproval {
    /// The identity that signed.
    pub id: SpiffeId,
    /// Why not.
    pub reason: String,
}

/// Which approvals count: `data.atb.approval.assessment`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assessment {
    /// One entry per approval that counts, in the order in which they were given; no person is in two of them.
    pub counted: Vec<CountedApproval>,
    /// The others.
    pub refused: Vec<RefusedApproval>,
    /// How many people have approved.
    pub approved: u32,
    /// How many must.
    pub required: u32,
    /// How many people with a role of each class are still missing.
    pub roles_missing: BTreeMap<RoleClass, u32>,
    /// Whether nobody is missing.
    pub met: bool,
    /// Why there is no answer of the policy, where there is none.
    pub fault: Option<PolicyFault>,
}

impl Assessment {
    /// Nobody counts, because there is no answer.
    pub fn fault(fault: PolicyFault) -> Self {
        Self {
            counted: Vec::new(),
            refused: Vec::new(),
            approved: 0,
            required: u32::MAX,
            roles_missing: BTreeMap::new(),
            met: false,
            fault: Some(fault),
        }
    }

    /// Why `id` does not count, if it does not.
    pub fn refusal_of(&self, id: &SpiffeId) -> Option<String> {
        if self.counted.iter().any(|c| c.id == *id) {
            return None;
        }
        let refused = self.refused.iter().find(|r| r.id == *id).map(|r| r.reason.clone());
        let unanswered = || self.fault.map(|fault| fault.to_string());
        Some(refused.or_else(unanswered).unwrap_or_else(|| "approver_not_assessed".to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_assessment_says_why_and_does_not_blame_the_approver() {
        let alice: SpiffeId = "spiffe://atb.dev/approver/alice".parse().unwrap();
        let assessment = Assessment::fault(PolicyFault::Timeout);
        assert!(!assessment.met);
        assert_eq!(assessment.refusal_of(&alice).as_deref(), Some("policy_timeout"));
    }
}
