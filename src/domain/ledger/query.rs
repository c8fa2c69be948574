//! What is asked of the ledger: one closed grammar for the command line, `GET /audit` and whoever comes later.
//!
//! ```text
//! agent=spiffe://atb.example/agent/* act=erp.* risk=60.. decision=deny since=2026-11-01 reason="not covered"
//! ```
//!
//! A [`Query`] is a conjunction of conditions, each named once; an absent one means any. It is read from one text
//! (`text.rs`) or from names and values, refused as a whole where anything is not understood, and printed in one way.
//! What an entry says is read from its bytes (`facts.rs`), never from what a store keeps beside them: an index that was
//! tampered with may at most hide an entry, which `atb audit verify` finds.
//!
//! Not here: pages and cursors (`service::audit`), indexes (`adapters::store`).

mod facts;
mod name;
mod text;

#[cfg(test)]
mod tests;

use std::fmt;

use super::EventType;
use crate::domain::catalogue::Tier;
use crate::domain::id::{ChallengeId, ConnectorId, DecisionId, Jti, WorkspaceId};
use crate::domain::policy::bundle::ActPattern;
use crate::domain::text::PlainText;
use crate::domain::time::Timestamp;

pub use facts::Facts;
pub use name::{BundleName, IdPattern, RiskRange};

/// The longest query, in bytes.
pub const MAX_QUERY_BYTES: usize = 4096;

/// A condition's name. The same in a text, as a parameter of `GET /audit` and, with `-` for `_`, as a flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Key {
    /// Not earlier than this.
    Since,
    /// Earlier than this.
    Until,
    /// The workspace.
    Workspace,
    /// The agent, or those below a path.
    Agent,
    /// The act, or a family of acts.
    Act,
    /// The act's tier; several with commas.
    Tier,
    /// The kind of event; several with commas.
    EventType,
    /// What was decided.
    Decision,
    /// The reason.
    Reason,
    /// The risk score, or a range of scores.
    Risk,
    /// The upstream.
    Connector,
    /// The mandate.
    Jti,
    /// The challenge.
    Challenge,
    /// The verdict's id.
    DecisionId,
    /// The bundle that judged, by revision or digest.
    Bundle,
    /// Who approved, refused to, or was stood in for.
    Approver,
}

impl Key {
    /// Every key, in the order in which a query is printed.
    pub const ALL: [Self; 16] = [
        Self::Since,
        Self::Until,
        Self::Workspace,
        Self::Agent,
        Self::Act,
        Self::Tier,
        Self::EventType,
        Self::Decision,
        Self::Reason,
        Self::Risk,
        Self::Connector,
        Self::Jti,
        Self::Challenge,
        Self::DecisionId,
        Self::Bundle,
        Self::Approver,
    ];

    /// The name as written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Since => "since",
            Self::Until => "until",
            Self::Workspace => "workspace",
            Self::Agent => "agent",
            Self::Act => "act",
            Self::Tier => "tier",
            Self::EventType => "event_type",
            Self::Decision => "decision",
            Self::Reason => "reason",
            Self::Risk => "risk",
            Self::Connector => "connector",
            Self::Jti => "jti",
            Self::Challenge => "challenge",
            Self::DecisionId => "decision_id",
            Self::Bundle => "bundle",
            Self::Approver => "approver",
        }
    }

    /// The key of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|key| key.as_str() == name)
    }

    /// What its value is, in words.
    pub fn expected(self) -> &'static str {
        match self {
            Self::Since | Self::Until => {
                "an RFC 3339 time such as `2026-11-21T10:00:00Z`, or a day (UTC) such as `2026-11-21`"
            }
            Self::Workspace => "the name of a workspace",
            Self::Agent | Self::Approver => "a SPIFFE ID, or all below a path such as `spiffe://atb.example/agent/*`",
            Self::Act => "an act such as `erp.order.read`, or a family such as `erp.*`",
            Self::Tier => "low, medium, high or critical, several with commas",
            Self::EventType => "kinds of event such as `poa_issued` or `broker_decision`, several with commas",
            Self::Decision => "allow or deny; an id goes with `decision_id`",
            Self::Reason => "a reason such as `mandate_replayed`, in plain text",
            Self::Risk => "a score from 0 to 100, or a range such as `60..`, `..40` or `20..60`",
            Self::Connector => "the name of a connector",
            Self::Jti => "the id of a mandate",
            Self::Challenge => "the id of a challenge",
            Self::DecisionId => "the id of a decision",
            Self::Bundle => "a bundle's revision, or its digest `sha-256:…`",
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The conditions that an entry must meet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query {
    /// Not earlier than this.
    pub since: Option<Timestamp>,
    /// Earlier than this.
    pub until: Option<Timestamp>,
    /// In this workspace.
    pub workspace: Option<WorkspaceId>,
    /// About this agent.
    pub agent: Option<IdPattern>,
    /// About this act.
    pub act: Option<ActPattern>,
    /// Of one of these tiers, in order and once each; empty for any.
    pub tiers: Vec<Tier>,
    /// Of one of these kinds, in order and once each; empty for any.
    pub event_types: Vec<EventType>,
    /// A verdict, and this one: true for an allow.
    pub allow: Option<bool>,
    /// With exactly this reason.
    pub reason: Option<PlainText>,
    /// With a risk score in this range.
    pub risk: Option<RiskRange>,
    /// About this upstream.
    pub connector: Option<ConnectorId>,
    /// About this mandate.
    pub jti: Option<Jti>,
    /// About this challenge.
    pub challenge: Option<ChallengeId>,
    /// Of this verdict.
    pub decision_id: Option<DecisionId>,
    /// Judged by this bundle.
    pub bundle: Option<BundleName>,
    /// With this approver.
    pub approver: Option<IdPattern>,
}

/// Why a text or a set of names and values is no query.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// More than is read.
    #[error("a query has at most {MAX_QUERY_BYTES} bytes")]
    TooLong,
    /// Something that is not `key=value`.
    #[error("column {at}: expected `key=value`, the value in \"…\" where it has blanks")]
    NotAPair {
        /// The first character of it, from 1.
        at: usize,
    },
    /// A quoted value without its end, or with another escape than `\"` and `\\`.
    #[error("column {at}: a quoted value ends with `\"` and a blank, and knows `\\\"` and `\\\\` only")]
    Quote {
        /// The first character of it, from 1.
        at: usize,
    },
    /// A name that no condition has.
    #[error("{}`{name}` is no key; there are {}{}", column(.at), keys(), hint(.name))]
    UnknownKey {
        /// Where, in a text.
        at: Option<usize>,
        /// The name, shortened, with `?` for what no key has.
        name: String,
    },
    /// A condition that is there already.
    #[error("{}`{key}` is given twice", column(.at))]
    Repeated {
        /// Where, in a text.
        at: Option<usize>,
        /// Which.
        key: Key,
    },
    /// A value that the condition does not take.
    #[error("{}`{key}` takes {}", column(.at), .key.expected())]
    Value {
        /// Where, in a text.
        at: Option<usize>,
        /// Which.
        key: Key,
    },
    /// A range that holds no instant.
    #[error("`until` is not later than `since`")]
    EmptyRange,
}

impl QueryError {
    /// The name that is at fault, where one is.
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::UnknownKey { name, .. } => Some(name),
            Self::Repeated { key, .. } | Self::Value { key, .. } => Some(key.as_str()),
            Self::EmptyRange => Some(Key::Until.as_str()),
            Self::TooLong | Self::NotAPair { .. } | Self::Quote { .. } => None,
        }
    }
}

fn column(at: &Option<usize>) -> String {
    at.map_or_else(String::new, |at| format!("column {at}: "))
}

fn keys() -> String {
    Key::ALL.map(Key::as_str).join(", ")
}

/// Nothing in a mandate or a request names a session; what people mean by one is a chain of ids.
fn hint(name: &str) -> &'static str {
    match name {
        "session" | "session_id" => "; no session is on record, `atb audit trace ID` follows a case through its ids",
        _ => "",
    }
}

impl Query {
    /// From names and values, such as the parameters of a request.
    ///
    /// # Errors
    /// When a name is unknown or repeated, a value is not what it takes, or all together are too long.
    pub fn of_pairs<'p>(pairs: impl IntoIterator<Item = (&'p str, &'p str)>) -> Result<Self, QueryError> {
        let mut draft = Draft::default();
        let mut bytes = 0_usize;
        for (name, value) in pairs {
            bytes = bytes.saturating_add(name.len() + value.len() + 2);
            if bytes > MAX_QUERY_BYTES {
                return Err(QueryError::TooLong);
            }
            draft.set(None, name, value)?;
        }
        draft.finish()
    }

    /// Both conditions at once: those of `other` where this has none.
    ///
    /// # Errors
    /// When both have a condition of one name.
    pub fn and(self, other: Self) -> Result<Self, QueryError> {
        let both = |q: &Self| Key::ALL.into_iter().filter(|key| q.value(*key).is_some()).collect::<Vec<_>>();
        let (mine, theirs) = (both(&self), both(&other));
        if let Some(key) = theirs.into_iter().find(|key| mine.contains(key)) {
            return Err(QueryError::Repeated { at: None, key });
        }
        let pairs: Vec<_> = self.pairs().into_iter().chain(other.pairs()).collect();
        Self::of_pairs(pairs.iter().map(|(key, value)| (key.as_str(), value.as_str())))
    }

    /// Whether there is no condition.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The conditions by name, in the order of [`Key::ALL`].
    pub fn pairs(&self) -> Vec<(Key, String)> {
        Key::ALL.into_iter().filter_map(|key| Some((key, self.value(key)?))).collect()
    }

    fn value(&self, key: Key) -> Option<String> {
        fn text(value: &Option<impl fmt::Display>) -> Option<String> {
            value.as_ref().map(ToString::to_string)
        }
        fn list(names: Vec<&str>) -> Option<String> {
            (!names.is_empty()).then(|| names.join(","))
        }
        match key {
            Key::Since => text(&self.since),
            Key::Until => text(&self.until),
            Key::Workspace => text(&self.workspace),
            Key::Agent => text(&self.agent),
            Key::Act => self.act.as_ref().map(|act| act.as_str().to_owned()),
            Key::Tier => list(self.tiers.iter().map(|tier| tier.as_str()).collect()),
            Key::EventType => list(self.event_types.iter().map(|kind| kind.as_str()).collect()),
            Key::Decision => self.allow.map(|allow| if allow { "allow" } else { "deny" }.to_owned()),
            Key::Reason => text(&self.reason),
            Key::Risk => text(&self.risk),
            Key::Connector => text(&self.connector),
            Key::Jti => text(&self.jti),
            Key::Challenge => text(&self.challenge),
            Key::DecisionId => text(&self.decision_id),
            Key::Bundle => text(&self.bundle),
            Key::Approver => text(&self.approver),
        }
    }
}

/// A query while its conditions come in.
#[derive(Default)]
struct Draft {
    query: Query,
    seen: Vec<Key>,
}

impl Draft {
    fn set(&mut self, at: Option<usize>, name: &str, value: &str) -> Result<(), QueryError> {
        let Some(key) = Key::named(name) else {
            let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '_' | '-') { c } else { '?' };
            return Err(QueryError::UnknownKey { at, name: name.chars().take(40).map(plain).collect() });
        };
        if self.seen.contains(&key) {
            return Err(QueryError::Repeated { at, key });
        }
        self.seen.push(key);
        self.read(key, value).ok_or(QueryError::Value { at, key })
    }

    fn read(&mut self, key: Key, value: &str) -> Option<()> {
        fn parsed<T: std::str::FromStr>(value: &str) -> Option<Option<T>> {
            value.parse().ok().map(Some)
        }
        let query = &mut self.query;
        match key {
            Key::Since => query.since = Some(name::instant(value)?),
            Key::Until => query.until = Some(name::instant(value)?),
            Key::Workspace => query.workspace = parsed(value)?,
            Key::Agent => query.agent = parsed(value)?,
            Key::Act => query.act = Some(value.to_owned().try_into().ok()?),
            Key::Tier => query.tiers = name::several(value, &Tier::ALL, |tier| tier.as_str())?,
            Key::EventType => query.event_types = name::several(value, &EventType::ALL, |kind| kind.as_str())?,
            Key::Decision => {
                query.allow = Some(match value {
                    "allow" => true,
                    "deny" => false,
                    _ => return None,
                });
            }
            Key::Reason => query.reason = parsed(value)?,
            Key::Risk => query.risk = parsed(value)?,
            Key::Connector => query.connector = parsed(value)?,
            Key::Jti => query.jti = parsed(value)?,
            Key::Challenge => query.challenge = parsed(value)?,
            Key::DecisionId => query.decision_id = parsed(value)?,
            Key::Bundle => query.bundle = parsed(value)?,
            Key::Approver => query.approver = parsed(value)?,
        }
        Some(())
    }

    fn finish(self) -> Result<Query, QueryError> {
        match (self.query.since, self.query.until) {
            (Some(since), Some(until)) if until <= since => Err(QueryError::EmptyRange),
            _ => Ok(self.query),
        }
    }
}
