//! What an entry's bytes say of what can be asked, and whether that is what a query asks for.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{BundleName, IdPattern, Query};
use crate::domain::action::ActionName;
use crate::domain::policy::RiskScore;
use crate::domain::time::Timestamp;

/// Events whose caller is an approver.
const BY_APPROVER: [&str; 3] = ["poa_approval_recorded", "poa_approval_refused", "poa_challenge_rejected"];

/// The members of an entry that a query can name. Members that this program does not know do not disturb it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Facts {
    /// The kind of event.
    pub event_type: String,
    /// When.
    pub at: Option<Timestamp>,
    /// The workspace.
    pub workspace: String,
    /// The agent.
    pub agent: Option<String>,
    /// The act.
    pub act: Option<ActionName>,
    /// The act's tier.
    pub tier: Option<String>,
    /// The risk score.
    pub risk_score: Option<RiskScore>,
    /// The verdict.
    pub allow: Option<bool>,
    /// The reason.
    pub reason: Option<String>,
    /// The verdict's id.
    pub decision_id: Option<String>,
    /// The mandate.
    pub jti: Option<String>,
    /// The challenge.
    pub challenge_id: Option<String>,
    /// The approver of this event, or the workload that asked.
    pub caller: Option<String>,
    /// The approvers whose statements count.
    pub approvers: Vec<String>,
    /// The legal template.
    pub template: Option<String>,
    /// The upstream.
    pub connector: Option<String>,
    /// The method of the call.
    pub method: Option<String>,
    /// The path of the call.
    pub path: Option<String>,
    /// What became of the call.
    pub outcome: Option<String>,
    /// The upstream's HTTP status.
    pub status: Option<u16>,
    /// How long it took, in microseconds.
    pub duration_us: Option<u64>,
    /// The bundle.
    pub bundle: Option<String>,
    /// Its digest.
    pub bundle_digest: Option<String>,
    /// The entry's own id.
    pub event_id: String,
    /// Further facts.
    pub detail: BTreeMap<String, String>,
}

impl Facts {
    /// Of an entry's bytes; none where they are not an entry.
    pub fn of_body(body: &[u8]) -> Option<Self> {
        serde_json::from_slice(body).ok().filter(|facts: &Self| !facts.event_type.is_empty())
    }

    /// A further fact.
    pub fn detail(&self, name: &str) -> Option<&str> {
        self.detail.get(name).map(String::as_str)
    }

    /// Who did it: the approver on her own events, else the agent, else who asked.
    pub fn actor(&self) -> Option<&str> {
        let caller = self.caller.as_deref();
        caller.filter(|_| BY_APPROVER.contains(&self.event_type.as_str())).or(self.agent.as_deref()).or(caller)
    }

    /// Whether one of `pattern` approved, refused to, or was stood in for.
    fn approved_by(&self, pattern: &IdPattern) -> bool {
        let caller = self.caller.as_deref().filter(|_| BY_APPROVER.contains(&self.event_type.as_str()));
        let named = caller.into_iter().chain(self.detail("on_behalf_of"));
        named.chain(self.approvers.iter().map(String::as_str)).any(|id| pattern.covers(id))
    }
}

impl Query {
    /// Whether the entry with those bytes is one of those asked for. What is no entry matches the query for everything.
    pub fn matches_body(&self, body: &[u8]) -> bool {
        self.is_empty() || Facts::of_body(body).is_some_and(|facts| self.matches(&facts))
    }

    /// Whether an entry that says `facts` is one of those asked for.
    pub fn matches(&self, facts: &Facts) -> bool {
        self.matches_origin(facts) && self.matches_verdict(facts) && self.matches_ids(facts)
    }

    fn matches_origin(&self, facts: &Facts) -> bool {
        let at = |wanted: fn(Timestamp, Timestamp) -> bool, bound: Option<Timestamp>| {
            bound.is_none_or(|bound| facts.at.is_some_and(|at| wanted(at, bound)))
        };
        at(|at, since| at >= since, self.since)
            && at(|at, until| at < until, self.until)
            && self.workspace.as_ref().is_none_or(|wanted| wanted.as_str() == facts.workspace)
            && self.agent.as_ref().is_none_or(|wanted| facts.agent.as_deref().is_some_and(|id| wanted.covers(id)))
            && self.approver.as_ref().is_none_or(|wanted| facts.approved_by(wanted))
            && (self.event_types.is_empty() || self.event_types.iter().any(|kind| kind.as_str() == facts.event_type))
    }

    fn matches_verdict(&self, facts: &Facts) -> bool {
        let tier = |facts: &Facts| self.tiers.iter().any(|tier| facts.tier.as_deref() == Some(tier.as_str()));
        let bundle = |name: &BundleName| match name {
            BundleName::Revision(revision) => facts.bundle.as_deref() == Some(revision.as_str()),
            BundleName::Digest(digest) => facts.bundle_digest.as_deref() == Some(digest.to_string().as_str()),
        };
        self.act.as_ref().is_none_or(|wanted| facts.act.as_ref().is_some_and(|act| wanted.covers(act)))
            && (self.tiers.is_empty() || tier(facts))
            && self.allow.is_none_or(|wanted| facts.allow == Some(wanted))
            && self.reason.as_ref().is_none_or(|wanted| facts.reason.as_deref() == Some(wanted.as_str()))
            && self.risk.is_none_or(|range| facts.risk_score.is_some_and(|score| range.covers(score)))
            && self.bundle.as_ref().is_none_or(bundle)
    }

    fn matches_ids(&self, facts: &Facts) -> bool {
        fn same(wanted: &Option<impl ToString>, found: &Option<String>) -> bool {
            wanted.as_ref().is_none_or(|wanted| found.as_deref() == Some(wanted.to_string().as_str()))
        }
        same(&self.connector, &facts.connector)
            && same(&self.jti, &facts.jti)
            && same(&self.challenge, &facts.challenge_id)
            && same(&self.decision_id, &facts.decision_id)
    }
}
