//! One entry of the ledger: what kind of thing happened, and everything that is on record of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::openings::Openings;
use super::recorded::{PolicyRule, RecordedInput};
use crate::domain::action::{ActionName, CallPath, Method};
use crate::domain::catalogue::Tier;
use crate::domain::id::{
    ChallengeId, ConnectorId, DecisionId, EventId, Jti, KeyId, Revision, Sha256Digest, WorkspaceId,
};
use crate::domain::policy::RiskScore;
use crate::domain::spiffe::SpiffeId;
use crate::domain::time::Timestamp;

/// What kind of thing an entry records. The names are the contract's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventType {
    /// A mandate was minted without dual control.
    PoaIssued,
    /// A mandate was minted on the approvals of two or more people.
    PoaIssuedDualControl,
    /// A request for a mandate waits for approvals.
    PoaChallengeCreated,
    /// One approver's statement was verified and counts.
    PoaApprovalRecorded,
    /// A statement was refused and does not count.
    PoaApprovalRefused,
    /// An approver rejected a challenge.
    PoaChallengeRejected,
    /// A challenge ran out of time.
    PoaChallengeExpired,
    /// The agent took its request back.
    PoaChallengeWithdrawn,
    /// AgentAuth refused a request for a mandate.
    PoaDenied,
    /// A mandate that was already used came again and was blocked.
    PoaSingleUseReplayBlocked,
    /// The broker's verdict on one call.
    BrokerDecision,
    /// What became of the call that a decision allowed.
    ConnectorOutcome,
    /// Somebody asked the policy by OPA's Data API; nothing was enforced.
    PolicyQueried,
    /// A bundle became the one in force.
    PolicyActivated,
    /// A bundle was refused; the last good one stays.
    PolicyRefused,
    /// Other connectors are in force from here on.
    ConnectorsActivated,
    /// Changed connector files were refused; the last good ones stay.
    ConnectorsRefused,
    /// An endpoint was not told of a challenge, and no more is tried.
    NotificationDead,
    /// A caller was refused at the door, before anything was asked.
    AuthenticationFailed,
    /// Connections or requests of one identity were refused because it had too many; `detail.count` says how many.
    RequestsThrottled,
    /// An auditor asked the record by `GET /audit`.
    AuditRead,
    /// A legal officer withdrew a template's version or a consent.
    LegWithdrawn,
    /// A sink is farther behind than it may be.
    SinkLagging,
    /// A sink that was too far behind has caught up.
    SinkCaughtUp,
    /// Entries that an archive holds were taken out of the ledger's file.
    LedgerArchived,
    /// Salts and clear values of some entries were erased; the entries stay.
    OpeningsErased,
    /// Our SVID or a trust bundle was replaced, or the doors opened again.
    IdentityRotated,
    /// A trust bundle or our SVID is out of date and not relied on any more.
    IdentityStale,
    /// The service started; its configuration's digest is in `detail`.
    ServiceStarted,
    /// The service stopped in order.
    ServiceStopped,
}

impl EventType {
    /// Every kind, in the order of this enum.
    pub const ALL: [Self; 30] = [
        Self::PoaIssued,
        Self::PoaIssuedDualControl,
        Self::PoaChallengeCreated,
        Self::PoaApprovalRecorded,
        Self::PoaApprovalRefused,
        Self::PoaChallengeRejected,
        Self::PoaChallengeExpired,
        Self::PoaChallengeWithdrawn,
        Self::PoaDenied,
        Self::PoaSingleUseReplayBlocked,
        Self::BrokerDecision,
        Self::ConnectorOutcome,
        Self::PolicyQueried,
        Self::PolicyActivated,
        Self::PolicyRefused,
        Self::ConnectorsActivated,
        Self::ConnectorsRefused,
        Self::NotificationDead,
        Self::AuthenticationFailed,
        Self::RequestsThrottled,
        Self::AuditRead,
        Self::LegWithdrawn,
        Self::SinkLagging,
        Self::SinkCaughtUp,
        Self::LedgerArchived,
        Self::OpeningsErased,
        Self::IdentityRotated,
        Self::IdentityStale,
        Self::ServiceStarted,
        Self::ServiceStopped,
    ];

    /// Whether an entry only says that somebody was at a door or asked without any effect: kept for a shorter time.
    pub fn is_access(self) -> bool {
        matches!(self, Self::AuthenticationFailed | Self::RequestsThrottled | Self::PolicyQueried)
    }

    /// The name as written in entries.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PoaIssued => "poa_issued",
            Self::PoaIssuedDualControl => "poa_issued_dual_control",
            Self::PoaChallengeCreated => "poa_challenge_created",
            Self::PoaApprovalRecorded => "poa_approval_recorded",
            Self::PoaApprovalRefused => "poa_approval_refused",
            Self::PoaChallengeRejected => "poa_challenge_rejected",
            Self::PoaChallengeExpired => "poa_challenge_expired",
            Self::PoaChallengeWithdrawn => "poa_challenge_withdrawn",
            Self::PoaDenied => "poa_denied",
            Self::PoaSingleUseReplayBlocked => "poa_single_use_replay_blocked",
            Self::BrokerDecision => "broker_decision",
            Self::ConnectorOutcome => "connector_outcome",
            Self::PolicyQueried => "policy_queried",
            Self::PolicyActivated => "policy_activated",
            Self::PolicyRefused => "policy_refused",
            Self::ConnectorsActivated => "connectors_activated",
            Self::ConnectorsRefused => "connectors_refused",
            Self::NotificationDead => "notification_dead",
            Self::AuthenticationFailed => "authentication_failed",
            Self::RequestsThrottled => "requests_throttled",
            Self::AuditRead => "audit_read",
            Self::LegWithdrawn => "leg_withdrawn",
            Self::SinkLagging => "sink_lagging",
            Self::SinkCaughtUp => "sink_caught_up",
            Self::LedgerArchived => "ledger_archived",
            Self::OpeningsErased => "openings_erased",
            Self::IdentityRotated => "identity_rotated",
            Self::IdentityStale => "identity_stale",
            Self::ServiceStarted => "service_started",
            Self::ServiceStopped => "service_stopped",
        }
    }
}

/// What became of a call (invariant 7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The upstream's whole answer was passed on.
    Ok,
    /// The upstream could not be reached, answered outside its limits or broke off.
    Failed,
    /// The process ended between the call and its answer; never retried by us.
    Unknown,
}

impl Outcome {
    /// The name as written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
        }
    }
}

/// What an entry is about. A member is absent where it has no meaning for the event.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subject {
    /// The agent, from its verified SVID.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub agent: Option<SpiffeId>,
    /// The act, where it could be named.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub act: Option<ActionName>,
    /// The act's tier by the catalogue.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub tier: Option<Tier>,
    /// How risky the policy held it to be, 0 to 100.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub risk_score: Option<RiskScore>,
    /// The verdict, on events that are one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub allow: Option<bool>,
    /// `ok`, a problem code, or the policy's own reason.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<String>,
    /// The verdict's id, as answered to the caller.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub decision_id: Option<DecisionId>,
    /// The mandate.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub jti: Option<Jti>,
    /// The challenge.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub challenge_id: Option<ChallengeId>,
    /// The approver of this event, or the connector's workload that asked for a decision.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub caller: Option<SpiffeId>,
    /// The approvers whose statements the mandate carries.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub approvers: Vec<SpiffeId>,
    /// The legal template, `id@version`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub template: Option<String>,
    /// The upstream.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub connector: Option<ConnectorId>,
    /// The method of the call.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub method: Option<Method>,
    /// The canonical path of the call.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub path: Option<CallPath>,
    /// Salted commitment to the digest of the call's canonical parameters ([`Openings::commit_request`]); what opens it
    /// is kept beside the entry. Within a use case, and in entries of before, the digest itself.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub request_digest: Option<Sha256Digest>,
    /// What became of the call.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub outcome: Option<Outcome>,
    /// The upstream's HTTP status.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub status: Option<u16>,
    /// Bytes of the upstream's answer that were passed on.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub response_bytes: Option<u64>,
    /// Salted commitment to the digest of those bytes ([`Salt::commit_response`]), with the salt that opens the decision:
    /// whoever has the answer can be shown that it is this one, and nobody can guess it by its digest.
    ///
    /// [`Salt::commit_response`]: super::openings::Salt::commit_response
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub response_digest: Option<Sha256Digest>,
    /// From the request's arrival (decisions) or the call's start (outcomes), in microseconds.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub duration_us: Option<u64>,
    /// The bundle that judged.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub bundle: Option<Revision>,
    /// That bundle's digest.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub bundle_digest: Option<Sha256Digest>,
    /// The rule of the policy that gave the verdict, on events that the policy decided.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub rule: Option<PolicyRule>,
    /// What the policy was told, with commitments for what is not to be read.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub input: Option<RecordedInput>,
    /// Digest of an input that is too large to be recorded.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub input_digest: Option<Sha256Digest>,
    /// Digest of the policy's whole verdict, by which a replay is compared.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub verdict_digest: Option<Sha256Digest>,
    /// What opens the commitments of `input`: kept beside the entry, never in it.
    #[serde(skip)]
    pub openings: Option<Arc<Openings>>,
    /// The signing key that a mandate was minted with.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub key_id: Option<KeyId>,
    /// Further facts of the event, short texts without secrets.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub detail: BTreeMap<String, String>,
}

impl Subject {
    /// Without what the policy was told, for an entry that follows the one that says it.
    #[must_use]
    pub fn without_input(self) -> Self {
        let openings = self.openings.as_deref().and_then(Openings::of_request).map(Arc::new);
        Self { rule: None, input: None, input_digest: None, verdict_digest: None, openings, ..self }
    }
}

/// One entry, as it is written: its JSON bytes are the tree's leaf.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The entry's own id.
    pub event_id: EventId,
    /// What kind of thing happened.
    pub event_type: EventType,
    /// When, by the clock of the writer.
    pub at: Timestamp,
    /// The workspace of the agent, `default` where there is none.
    pub workspace: WorkspaceId,
    /// What it is about.
    #[serde(flatten)]
    pub subject: Subject,
}

impl Entry {
    /// The bytes that are stored and hashed.
    pub fn to_bytes(&self) -> Vec<u8> {
        // INVARIANT: every member serialises to JSON, so this cannot fail; an empty leaf would be refused by the store.
        serde_json::to_vec(self).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_type_has_one_name() {
        for kind in EventType::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        }
    }

    #[test]
    fn an_entry_is_read_back_from_its_bytes() {
        let entry = Entry {
            event_id: EventId::new(Timestamp::from_secs(1), [1; 10]),
            event_type: EventType::BrokerDecision,
            at: Timestamp::from_millis(1_790_000_000_123),
            workspace: WorkspaceId::default(),
            subject: Subject {
                agent: Some("spiffe://example.org/agent/a".parse().unwrap()),
                allow: Some(true),
                duration_us: Some(417),
                detail: [("door".to_owned(), "decide".to_owned())].into(),
                ..Subject::default()
            },
        };
        assert_eq!(serde_json::from_slice::<Entry>(&entry.to_bytes()).unwrap(), entry);
    }
}
