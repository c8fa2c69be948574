//! The policy's answers, read strictly: an answer that contradicts itself is no answer.

use std::collections::{BTreeMap, BTreeSet};

use regorus::Value;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::domain::catalogue::Tier;
use crate::domain::jose::present;
use crate::domain::json;
use crate::domain::policy::{
    Assessment, CountedApproval, Decision, IssueDecision, PolicyFault, RefusedApproval, Requirement, Risk, Violation,
};
use crate::domain::role::RoleClass;

/// The most things that one verdict rests on.
const MAX_MATCHED: usize = 128;
/// The longest name of one of them; a SPIFFE ID may be part of it.
const MAX_MATCH_BYTES: usize = 2_200;
/// The longest name of a part of a risk score.
const MAX_FACTOR_BYTES: usize = 128;

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
    #[serde(default)]
    matched: Vec<String>,
    violations: Vec<Violation>,
    #[serde(default, deserialize_with = "present")]
    risk: Option<Risk>,
    #[serde(default)]
    requirement: Option<Requirement>,
}

impl DecisionAnswer {
    /// INVARIANT: an allow has a tier, no violation and the reason `ok`; a denial has another reason. What matched is
    /// named `layer:what`, and a risk score is a whole number from 0 to 100.
    fn into_decision(self) -> Result<Decision, PolicyFault> {
        let Self { allow, reason, tier, missing, obligations, matched, violations, risk, requirement: _ } = self;
        let consistent = if allow {
            reason == "ok" && tier.is_some() && violations.is_empty()
        } else {
            reason != "ok" && is_code(&reason)
        };
        let named = matched.len() <= MAX_MATCHED && matched.iter().all(|name| is_match(name));
        if !(consistent && named && risk.as_ref().is_none_or(is_risk)) {
            return Err(PolicyFault::Malformed);
        }
        Ok(Decision { allow, reason, tier, missing, obligations, matched, violations, risk })
    }
}

/// A reason is a short code: it becomes a member of records and a label of metrics.
fn is_code(reason: &str) -> bool {
    (1..=64).contains(&reason.len())
        && reason.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

/// `layer:what`: a layer by its short name, and something behind it.
fn is_match(name: &str) -> bool {
    let layer = |layer: &str| layer.len() <= 64 && is_code(layer);
    name.len() <= MAX_MATCH_BYTES && name.split_once(':').is_some_and(|(l, what)| layer(l) && !what.is_empty())
}

fn is_risk(risk: &Risk) -> bool {
    let named = |factor: &str| (1..=MAX_FACTOR_BYTES).contains(&factor.len());
    risk.contributions.len() <= MAX_MATCHED && risk.contributions.iter().all(|one| named(&one.factor))
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
    fn what_matched_and_how_risky_it_is_may_be_absent_and_never_malformed() {
        let with =
            |members: &str| decision(&parse(&ALLOW.replace("\"violations\"", &format!("{members},\"violations\""))));
        let bare = decision(&parse(ALLOW)).unwrap();
        assert_eq!((bare.matched, bare.risk), (Vec::new(), None));
        let full = with(
            r#""matched":["act:erp.order.read","tier:low"],"risk":{"score":30,"contributions":[{"factor":"tier","points":30}]}"#,
        );
        let full = full.unwrap();
        assert_eq!(full.matched, ["act:erp.order.read", "tier:low"]);
        assert_eq!(full.risk_score().map(crate::domain::policy::RiskScore::as_u8), Some(30));
        let over = r#""risk":{"score":100,"contributions":[{"factor":"a","points":90},{"factor":"b","points":90}]}"#;
        assert!(with(over).is_ok(), "how contributions come to a score is the policy's");
        for malformed in [
            r#""matched":null"#,
            r#""matched":"act:x""#,
            r#""matched":[1]"#,
            r#""matched":["act"]"#,
            r#""matched":[":x"]"#,
            r#""matched":["act:"]"#,
            r#""matched":["Act:x"]"#,
            r#""risk":null"#,
            r#""risk":30"#,
            r#""risk":{"score":30}"#,
            r#""risk":{"score":101,"contributions":[]}"#,
            r#""risk":{"score":-1,"contributions":[]}"#,
            r#""risk":{"score":1.5,"contributions":[]}"#,
            r#""risk":{"score":"30","contributions":[]}"#,
            r#""risk":{"score":0,"contributions":[{"factor":"","points":0}]}"#,
            r#""risk":{"score":0,"contributions":[{"factor":"a","points":0.5}]}"#,
            r#""risk":{"score":0,"contributions":[],"level":"low"}"#,
        ] {
            assert_eq!(with(malformed), Err(PolicyFault::Malformed), "{malformed}");
        }
        let many = format!("\"matched\":[{}]", vec!["\"a:b\""; 129].join(","));
        assert_eq!(with(&many), Err(PolicyFault::Malformed));
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
