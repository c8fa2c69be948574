//! What the policy is told. The document is text from here on: what is evaluated is what is recorded and replayed.

use serde::{Deserialize, Serialize};

use super::bundle::ActPattern;
use super::counters::Counters;
use super::rollout::Place;
use crate::domain::action::{CallPath, CallRequest, Method};
use crate::domain::attestation::Attested;
use crate::domain::catalogue::Tier;
use crate::domain::guardrail::GuardrailFacts;
use crate::domain::id::{Sha256Digest, WorkspaceId};
use crate::domain::json::Object;
use crate::domain::spiffe::{SpiffeId, VerifiedSvid};

/// At which point the policy is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// AgentAuth: may such a mandate be issued?
    Issue,
    /// The broker: may this call be made?
    Call,
}

/// Which of the company's environments the services run in. The policy's overlays tighten by it; none loosens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Environment {
    /// Real money, real people; what holds where nothing is said.
    #[default]
    Production,
    /// As production, with other data.
    Staging,
    /// For those who build.
    Development,
}

/// The caller, from its verified SVID.
#[derive(Debug, Clone, Serialize)]
pub struct AgentFacts<'a> {
    /// Its SPIFFE ID.
    pub id: &'a SpiffeId,
    /// Its trust domain.
    pub trust_domain: &'a str,
    /// What vouches for it, where its SVID came to us and not to a connector that reports it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<PlatformFacts>,
}

/// The platform that vouches for a caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct PlatformFacts {
    /// The trust anchor that the SVID chains to: SHA-256 over the DER of its SubjectPublicKeyInfo.
    pub authority: Sha256Digest,
    /// From when the SVID itself is valid, in seconds since the epoch.
    pub issued_at: u64,
    /// Until when.
    pub expires_at: u64,
}

impl From<&VerifiedSvid> for PlatformFacts {
    fn from(svid: &VerifiedSvid) -> Self {
        let (from, until) = svid.own_validity();
        Self { authority: svid.authority(), issued_at: from.as_secs(), expires_at: until.as_secs() }
    }
}

/// The call.
#[derive(Debug, Clone, Serialize)]
pub struct RequestFacts<'a> {
    /// The upstream.
    pub connector: &'a str,
    /// The method.
    pub method: Method,
    /// The canonical path.
    pub path: &'a CallPath,
    /// The act that the route gives.
    pub act: &'a str,
    /// Every parameter.
    pub params: &'a Object,
    /// Digest of the parameters.
    pub digest: Sha256Digest,
}

impl<'a> From<&'a CallRequest> for RequestFacts<'a> {
    fn from(call: &'a CallRequest) -> Self {
        Self {
            connector: call.connector.as_str(),
            method: call.method,
            path: &call.path,
            act: call.act.as_str(),
            params: &call.params,
            digest: call.digest(),
        }
    }
}

/// An approval whose statement was verified against the approver's own key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ApprovalFact {
    /// Who signed.
    pub id: SpiffeId,
    /// When, in seconds since the epoch.
    pub approved_at: u64,
    /// In whose name, where the signer stood in for another by a delegation that was verified too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_behalf_of: Option<OnBehalfOf>,
    /// What the signer attested in the statement.
    #[serde(skip_serializing_if = "Attested::is_empty")]
    pub attestations: Attested,
}

/// Whom an approver stood in for, and for what: the scope of the delegation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OnBehalfOf {
    /// The delegator.
    pub id: SpiffeId,
    /// For which tiers.
    pub tiers: Vec<Tier>,
    /// For which acts.
    pub acts: Vec<ActPattern>,
    /// In which workspaces.
    pub workspaces: Vec<WorkspaceId>,
}

/// Everything that the policy is told, before it is written down; `P` is the mandate's claims or the draft of them.
#[derive(Debug, Serialize)]
pub struct PolicyFacts<'a, P> {
    /// Who asks.
    pub phase: Phase,
    /// The only clock that the policy has, in seconds since the epoch.
    pub time: u64,
    /// Where the services run.
    pub environment: Environment,
    /// The agent's workspace.
    pub workspace: &'a WorkspaceId,
    /// The caller.
    pub agent: AgentFacts<'a>,
    /// How many calls were allowed lately; none at [`Phase::Issue`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub counters: Option<&'a Counters>,
    /// What guardrails found in the call, where any are configured; none at [`Phase::Issue`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guardrails: Option<&'a GuardrailFacts>,
    /// Whether the call came without a mandate and the configuration lets the policy judge such calls.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub unmandated: bool,
    /// The mandate's claims and `ttl`; at [`Phase::Issue`] the draft of them; `null` for a call without a mandate.
    pub poa: P,
    /// The call, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<RequestFacts<'a>>,
    /// The verified approvals, in the order in which they came; that is the order in which they count.
    pub approvals: &'a [ApprovalFact],
    /// Whether two people are asked for whatever the tier.
    pub requires_dual_control: bool,
}

/// The input document as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyInput {
    json: String,
    place: Option<Place>,
}

impl PolicyInput {
    /// Writes the facts down.
    pub fn new<P: Serialize>(facts: &PolicyFacts<'_, P>) -> Self {
        // INVARIANT: every member serialises to JSON; were it otherwise the text `null` is denied by the policy.
        let json = serde_json::to_string(facts).unwrap_or_else(|_| "null".to_owned());
        Self { json, place: Some(Place::of(facts.workspace, facts.agent.id)) }
    }

    /// A recorded input. It has no place in a rollout: whoever replays names the bundle.
    pub fn from_recorded(json: String) -> Self {
        Self { json, place: None }
    }

    /// The agent's place in a rollout.
    pub fn place(&self) -> Option<Place> {
        self.place
    }

    /// The document.
    pub fn as_json(&self) -> &str {
        &self.json
    }
}
