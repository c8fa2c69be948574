//! The policy's answers, read strictly: an answer that contradicts itself is no answer.

use std::collections::{BTreeMap, BTreeSet};

use regorus::Value;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::domain::catalogue::Tier;
use crate::domain::json;
use crate::domain::policy::{
    Assessment, CountedApproval, Decision, IssueDecision, PolicyFault, RefusedApproval, Requirement, Violation,
};
use crate::domain::role::RoleClass;

/// Reads `data.atb.poa.decision`.
pub(super) fn decision(value: &Value) -> Result<Decision, PolicyFault> {
    let answer: DecisionAnswer = read(value)?;
    if answer.requirement.is_some() {
        return Err(PolicyFault::Malformed);
    }
    answer.into_decision()
}

/// Reads `data.atb.issue.decision`: what may be issued says who must agree.
pub(super) fn issue(value: &Value) -> Result<IssueDecision, PolicyFault> {
    let mut answer: DecisionAnswer = read(value)?;
    let requirement = answer.requirement.take();
    let decision = answer.into_decision()?;
    if decision.allow && requirement.is_none() {
        return Err(PolicyFault::Malformed);
    }
    Ok(IssueDecision { decision, requirement })
}

/// Reads `data.atb.approval.assessment`: nobody in two approvals that count, and `met` only if nobody is missing.
pub(super) fn assessment(value: &Value) -> Result<Assessment, PolicyFault> {
    let AssessmentAnswer { counted, refused, approved, required, roles_missing, met } = read(value)?;
    let used: Vec<_> = counted.iter().flat_map(|c| std::iter::once(&c.person).chain(&c.on_behalf_of)).collect();
    let people: BTreeSet<_> = used.iter().collect();
    let consistent = people.len() == used.len()
        && u32::try_from(counted.len()) == Ok(approved)
        && (!met || (approved >= required && roles_missing.is_empty()));
    if !consistent {
        return Err(PolicyFault::Malformed);
    }
    Ok(Assessment { counted, refused, approved, required, roles_missing, met, fault: None })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DecisionAnswer {
    allow: bool,
    reason: String,
    tier: Option<Tier>,
    missing: Vec<serde_json::Value>,
    obligations: Vec<serde_json::Value>,
    violations: Vec<Violation>,
    #[serde(default)]
    requirement: Option<Requirement>,
}

impl DecisionAnswer {
    /// INVARIANT: an allow has a tier, no violation and the reason `ok`; a denial has another reason.
    fn into_decision(self) -> Result<Decision, PolicyFault> {
        let Self { allow, reason, tier, missing, obligations, violations, requirement: _ } = self;
        let consistent = if allow {
            reason == "ok" && tier.is_some() && violations.is_empty()
        } else {
            reason != "ok" && is_code(&reason)
        };
        if !consistent {
            return Err(PolicyFault::Malformed);
        }
        Ok(Decision { allow, reason, tier, missing, obligations, violations })
    }
}

/// A reason is a short code: it becomes a member of records and a label of metrics.
fn is_code(reason: &str) -> bool {
    (1..=64).contains(&reason.len())
        && reason.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AssessmentAnswer {
    counted: Vec<CountedApproval>,
    refused: Vec<RefusedApproval>,
    approved: u32,
    required: u32,
    roles_missing: BTreeMap<RoleClass, u32>,
    met: bool,
}

/// By way of JSON text: one pass each way, without a second tree of values between.
fn read<T: DeserializeOwned>(value: &Value) -> Result<T, PolicyFault> {
    let text = serde_json::to_string(value).map_err(|_| PolicyFault::Malformed)?;
    json::from_slice(text.as_bytes()).map_err(|_| PolicyFault::Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str) -> Value {
        Value::from_json_str(json).unwrap()
    }

    const ALLOW: &str = r#"{"allow":true,"reason":"ok","tier":"low","missing":[],"obligations":[],"violations":[]}"#;

    #[test]
    fn an_answer_that_contradicts_itself_is_malformed() {
        assert!(decision(&parse(ALLOW)).unwrap().allow);
        for (from, to) in [
            ("true", "\"true\""),
            ("true", "1"),
            ("true", "null"),
            ("true", "{}"),
            ("\"ok\"", "\"denied\""),
            ("\"ok\"", "null"),
            ("\"low\"", "null"),
            ("\"low\"", "\"none\""),
            ("\"violations\":[]", r#""violations":[{"rule":"a","pointer":"","detail":""}]"#),
            ("\"violations\":[]", "\"violations\":[],\"extra\":1"),
            ("\"obligations\":[],", ""),
            ("true,\"reason\":\"ok\"", "false,\"reason\":\"ok\""),
            ("true,\"reason\":\"ok\"", "false,\"reason\":\"\""),
            ("true,\"reason\":\"ok\"", "false,\"reason\":\"Not a code\""),
        ] {
            assert_eq!(decision(&parse(&ALLOW.replace(from, to))), Err(PolicyFault::Malformed), "{from} {to}");
        }
        for other in ["true", "null", "[]", "\"allow\"", "1"] {
            assert_eq!(decision(&parse(other)), Err(PolicyFault::Malformed), "{other}");
        }
    }

    #[test]
    fn a_permission_to_issue_says_who_must_agree() {
        assert_eq!(issue(&parse(ALLOW)), Err(PolicyFault::Malformed));
        let requirement = r#","requirement":{"required":2,"roles":{"executive":1},"excluded":["operator"],"delegable":false,"ticket":true,"challenge_seconds":60,"max_ttl_seconds":300}}"#;
        let full = ALLOW.trim_end_matches('}').to_owned() + requirement;
        assert_eq!(issue(&parse(&full)).unwrap().requirement.unwrap().required, 2);
        assert_eq!(decision(&parse(&full)), Err(PolicyFault::Malformed));
    }

    #[test]
    fn an_assessment_counts_people_and_is_met_only_without_a_gap() {
        let one = r#"{"id":"spiffe://atb.dev/approver/alice","person":"alice","roles":[]}"#;
        let other = one.replace("approver/alice", "approver/alice-mobile");
        let answer = |counted: &str, approved: u32, required: u32, executives: &str, met: bool| {
            assessment(&parse(&format!(
                r#"{{"counted":[{counted}],"refused":[],"approved":{approved},"required":{required},"roles_missing":{{{executives}}},"met":{met}}}"#
            )))
        };
        assert!(answer(one, 1, 1, "", true).unwrap().met);
        assert_eq!(answer(one, 1, 2, "", true), Err(PolicyFault::Malformed));
        assert_eq!(answer(one, 1, 1, r#""executive":1"#, true), Err(PolicyFault::Malformed));
        assert_eq!(answer(one, 2, 2, "", true), Err(PolicyFault::Malformed));
        assert_eq!(answer(&format!("{one},{other}"), 2, 2, "", true), Err(PolicyFault::Malformed), "one person twice");
        let delegated = other.replace(r#""alice","roles""#, r#""bob","on_behalf_of":"alice","roles""#);
        assert!(answer(&delegated, 1, 1, "", true).unwrap().met);
        assert_eq!(answer(&format!("{one},{delegated}"), 2, 2, "", true), Err(PolicyFault::Malformed), "used up");
    }
}
