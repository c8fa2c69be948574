//! What is different between two answers to one question.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::judge::Answer;
use crate::domain::policy::{Assessment, Decision, IssueDecision, Requirement};

/// How two answers differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FlipKind {
    /// What was refused passes.
    DenyToAllow,
    /// Fewer people, or people of other roles, or no ticket, or a longer life.
    ApprovalsLost,
    /// What passed is refused.
    AllowToDeny,
    /// More people must agree, or in a stricter way.
    ApprovalsAdded,
    /// Refused as before, for another reason.
    ReasonChanged,
    /// Of another tier.
    TierChanged,
    /// Allowed as before with other obligations.
    ObligationsChanged,
}

impl FlipKind {
    /// Every kind, in the order of reports: what somebody must look at comes first.
    pub const ALL: [Self; 7] = [
        Self::DenyToAllow,
        Self::ApprovalsLost,
        Self::AllowToDeny,
        Self::ApprovalsAdded,
        Self::ReasonChanged,
        Self::TierChanged,
        Self::ObligationsChanged,
    ];

    /// The name as written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::DenyToAllow => "deny_to_allow",
            Self::ApprovalsLost => "approvals_lost",
            Self::AllowToDeny => "allow_to_deny",
            Self::ApprovalsAdded => "approvals_added",
            Self::ReasonChanged => "reason_changed",
            Self::TierChanged => "tier_changed",
            Self::ObligationsChanged => "obligations_changed",
        }
    }

    /// Whether somebody must have agreed to it before it is merged.
    pub fn loosens(self) -> bool {
        matches!(self, Self::DenyToAllow | Self::ApprovalsLost)
    }
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Change {
    /// Which.
    pub kind: FlipKind,
    /// The base's side, in words that hold no value of a parameter.
    pub from: String,
    /// The candidate's side.
    pub to: String,
}

impl Change {
    fn new(kind: FlipKind, from: impl Into<String>, to: impl Into<String>) -> Self {
        Self { kind, from: from.into(), to: to.into() }
    }
}

/// Every difference; none for equal answers.
pub fn changes(base: &Answer, candidate: &Answer) -> Vec<Change> {
    let mut found = Vec::new();
    match (base, candidate) {
        (Answer::Decision(a), Answer::Decision(b)) => decisions(a, b, &mut found),
        (Answer::Issue(a), Answer::Issue(b)) => issues(a, b, &mut found),
        (Answer::Assessment(a), Answer::Assessment(b)) => assessments(a, b, &mut found),
        _ if base == candidate => {}
        _ => documents(base, candidate, &mut found),
    }
    found
}

fn decisions(a: &Decision, b: &Decision, found: &mut Vec<Change>) {
    match (a.allow, b.allow) {
        (false, true) => found.push(Change::new(FlipKind::DenyToAllow, &a.reason, &b.reason)),
        (true, false) => found.push(Change::new(FlipKind::AllowToDeny, &a.reason, &b.reason)),
        (false, false) if a.reason != b.reason => {
            found.push(Change::new(FlipKind::ReasonChanged, &a.reason, &b.reason));
        }
        (true, true) if a.obligations != b.obligations => {
            let count = |d: &Decision| format!("{} obligations", d.obligations.len());
            found.push(Change::new(FlipKind::ObligationsChanged, count(a), count(b)));
        }
        _ => {}
    }
    if a.tier != b.tier {
        let name = |d: &Decision| d.tier.map_or("none", |tier| tier.as_str());
        found.push(Change::new(FlipKind::TierChanged, name(a), name(b)));
    }
}

fn issues(a: &IssueDecision, b: &IssueDecision, found: &mut Vec<Change>) {
    decisions(&a.decision, &b.decision, found);
    if let (Some(a), Some(b)) = (&a.requirement, &b.requirement) {
        requirements(a, b, found);
    }
}

/// Each member of a requirement with whether `b` asks for less, or for more, than `a`.
fn requirements(a: &Requirement, b: &Requirement, found: &mut Vec<Change>) {
    let mut sides = [(FlipKind::ApprovalsLost, Vec::new()), (FlipKind::ApprovalsAdded, Vec::new())];
    let mut member = |less: bool, more: bool, from: String, to: String| {
        for ((_, texts), is) in sides.iter_mut().zip([less, more]) {
            if is {
                texts.push((from.clone(), to.clone()));
            }
        }
    };
    let people = |r: &Requirement| format!("{} approvals", r.required);
    member(b.required < a.required, b.required > a.required, people(a), people(b));
    let classes: std::collections::BTreeSet<_> = a.roles.keys().chain(b.roles.keys()).collect();
    for class in classes {
        let count = |r: &Requirement| r.roles.get(class).copied().unwrap_or_default();
        let text = |r: &Requirement| format!("{} {class}", count(r));
        member(count(b) < count(a), count(b) > count(a), text(a), text(b));
    }
    let excluded = |r: &Requirement| {
        let names = r.excluded.iter().map(|who| serde_json::to_value(who).ok()?.as_str().map(str::to_owned));
        format!("excluded: {}", names.map(Option::unwrap_or_default).collect::<Vec<_>>().join(", "))
    };
    let lacks = |of: &Requirement, in_: &Requirement| of.excluded.iter().any(|who| !in_.excluded.contains(who));
    member(lacks(a, b), lacks(b, a), excluded(a), excluded(b));
    let word = |is: bool, word: &str| if is { word.to_owned() } else { format!("not {word}") };
    member(
        b.delegable && !a.delegable,
        a.delegable && !b.delegable,
        word(a.delegable, "delegable"),
        word(b.delegable, "delegable"),
    );
    member(a.ticket && !b.ticket, b.ticket && !a.ticket, word(a.ticket, "ticket"), word(b.ticket, "ticket"));
    let life = |r: &Requirement| format!("mandates of {} s", r.max_ttl_seconds);
    member(b.max_ttl_seconds > a.max_ttl_seconds, b.max_ttl_seconds < a.max_ttl_seconds, life(a), life(b));
    let wait = |r: &Requirement| format!("waits {} s", r.challenge_seconds);
    member(b.challenge_seconds > a.challenge_seconds, b.challenge_seconds < a.challenge_seconds, wait(a), wait(b));
    for (kind, texts) in sides {
        if !texts.is_empty() {
            let (from, to): (Vec<_>, Vec<_>) = texts.into_iter().unzip();
            found.push(Change::new(kind, from.join(", "), to.join(", ")));
        }
    }
}

fn assessments(a: &Assessment, b: &Assessment, found: &mut Vec<Change>) {
    if a == b {
        return;
    }
    let text = |x: &Assessment| {
        let state = if x.met { "met" } else { "not met" };
        format!("{} of {} approvals, {state}", x.approved, x.required)
    };
    let refused = |x: &Assessment| x.refused.iter().map(|r| r.reason.as_str()).collect::<Vec<_>>().join(", ");
    let roles = |x: &Assessment| x.roles_missing.values().sum::<u32>();
    let loses = (b.met && !a.met) || b.approved > a.approved || b.required < a.required || roles(b) < roles(a);
    let adds = (a.met && !b.met) || b.approved < a.approved || b.required > a.required || roles(b) > roles(a);
    if loses {
        found.push(Change::new(FlipKind::ApprovalsLost, text(a), text(b)));
    }
    if adds {
        found.push(Change::new(FlipKind::ApprovalsAdded, text(a), text(b)));
    }
    if !loses && !adds && refused(a) != refused(b) {
        found.push(Change::new(FlipKind::ReasonChanged, refused(a), refused(b)));
    }
}

/// Documents of any shape: what OPA's users take for `allow` is looked for, the rest is another result.
fn documents(base: &Answer, candidate: &Answer, found: &mut Vec<Change>) {
    let allow = |answer: &Answer| match answer {
        Answer::Document(Value::Bool(allow)) => Some(*allow),
        Answer::Document(document) => document.get("allow").and_then(Value::as_bool),
        _ => None,
    };
    let reason = |answer: &Answer| match answer {
        Answer::Document(document) => document.get("reason").and_then(Value::as_str).unwrap_or("-").to_owned(),
        _ => "no result".to_owned(),
    };
    let (from, to) = (reason(base), reason(candidate));
    let kind = match (allow(base).unwrap_or(false), allow(candidate).unwrap_or(false)) {
        (false, true) => FlipKind::DenyToAllow,
        (true, false) => FlipKind::AllowToDeny,
        _ => FlipKind::ReasonChanged,
    };
    found.push(Change::new(kind, from, to));
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn issue(requirement: Value) -> Answer {
        let mut verdict = json!({"allow": true, "reason": "ok", "tier": "high", "requirement": {
            "required": 2, "roles": {"executive": 1}, "excluded": ["operator", "requester"], "delegable": false,
            "ticket": true, "challenge_seconds": 3600, "max_ttl_seconds": 300}});
        for (name, value) in requirement.as_object().unwrap() {
            verdict["requirement"][name] = value.clone();
        }
        Answer::Issue(serde_json::from_value(verdict).unwrap())
    }

    #[test]
    fn whatever_is_asked_less_of_approvers_is_a_lost_approval_and_never_the_other_way_round() {
        let base = issue(json!({}));
        for (lost, from, to) in [
            (json!({"required": 1}), "2 approvals", "1 approvals"),
            (json!({"roles": {}}), "1 executive", "0 executive"),
            (json!({"excluded": ["operator"]}), "excluded: operator, requester", "excluded: operator"),
            (json!({"delegable": true}), "not delegable", "delegable"),
            (json!({"ticket": false}), "ticket", "not ticket"),
            (json!({"max_ttl_seconds": 301}), "mandates of 300 s", "mandates of 301 s"),
            (json!({"challenge_seconds": 3601}), "waits 3600 s", "waits 3601 s"),
        ] {
            let candidate = issue(lost);
            assert_eq!(changes(&base, &candidate), [Change::new(FlipKind::ApprovalsLost, from, to)]);
            assert_eq!(changes(&candidate, &base), [Change::new(FlipKind::ApprovalsAdded, to, from)]);
        }
        let both = changes(&base, &issue(json!({"required": 3, "ticket": false})));
        assert_eq!(
            both.iter().map(|c| c.kind).collect::<Vec<_>>(),
            [FlipKind::ApprovalsLost, FlipKind::ApprovalsAdded]
        );
        assert!(changes(&base, &base).is_empty());
    }

    #[test]
    fn verdicts_flip_by_allow_reason_tier_and_obligations() {
        let decision = |allow: bool, reason: &str, tier: &str| {
            Answer::Decision(
                serde_json::from_value(json!({"allow": allow, "reason": reason, "tier": tier, "obligations": []}))
                    .unwrap(),
            )
        };
        let (allow, deny) = (decision(true, "ok", "low"), decision(false, "limit_exceeded", "low"));
        assert_eq!(changes(&deny, &allow), [Change::new(FlipKind::DenyToAllow, "limit_exceeded", "ok")]);
        assert_eq!(changes(&allow, &deny), [Change::new(FlipKind::AllowToDeny, "ok", "limit_exceeded")]);
        let other = decision(false, "act_denied", "high");
        let kinds: Vec<_> = changes(&deny, &other).into_iter().map(|c| c.kind).collect();
        assert_eq!(kinds, [FlipKind::ReasonChanged, FlipKind::TierChanged]);
        let documents = |value| Answer::Document(value);
        assert_eq!(
            changes(&documents(json!(false)), &documents(json!({"allow": true}))).first().unwrap().kind,
            FlipKind::DenyToAllow
        );
        assert_eq!(changes(&documents(json!(true)), &Answer::None).first().unwrap().kind, FlipKind::AllowToDeny);
    }
}
