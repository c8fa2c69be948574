//! What the policy is told (the PIP): verified claims, the canonical call, proven approvals. Nothing that the caller
//! merely says about itself.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::Value;

use crate::domain::action::{ActionName, CallRequest, RequestBinding};
use crate::domain::approval::Ask;
use crate::domain::catalogue::Tier;
use crate::domain::guardrail::GuardrailFacts;
use crate::domain::id::{Jti, Revision, WorkspaceId};
use crate::domain::json::Object;
use crate::domain::leg::Leg;
use crate::domain::mandate::{BoundMandate, ProvenApprovals};
use crate::domain::policy::{
    AgentFacts, ApprovalFact, Bundle, Counters, Environment, Phase, PlatformFacts, PolicyFacts, PolicyInput,
    RequestFacts,
};
use crate::domain::spiffe::SpiffeId;
use crate::domain::time::Timestamp;
use crate::service::refusal::Refusal;

/// A request for a mandate, as the policy is asked about it.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// What is asked.
    pub ask: &'a Ask,
    /// AgentAuth.
    pub issuer: &'a SpiffeId,
    /// The brokers that the mandate would be for.
    pub aud: &'a [SpiffeId],
    /// The act's tier by the catalogue, where it has the act.
    pub tier: Option<Tier>,
    /// The exact call, where one was named.
    pub call: Option<&'a CallRequest>,
    /// Whether two people were asked for.
    pub requires_dual_control: bool,
    /// The agent's workspace.
    pub workspace: &'a WorkspaceId,
    /// Where the services run.
    pub environment: Environment,
    /// What vouches for the agent, where it is the agent that asks.
    pub platform: Option<PlatformFacts>,
}

/// The circumstances of a call, as the policy is asked about it.
#[derive(Debug, Clone, Copy)]
pub struct Circumstances<'a> {
    /// The agent's workspace.
    pub workspace: &'a WorkspaceId,
    /// Where the services run.
    pub environment: Environment,
    /// What vouches for the agent, where its SVID came to us.
    pub platform: Option<PlatformFacts>,
    /// What was allowed lately.
    pub counters: &'a Counters,
    /// What guardrails found in the call, where any are configured.
    pub guardrails: Option<&'a GuardrailFacts>,
    /// When the call arrived.
    pub now: Timestamp,
}

/// Holds a call's parameters against the act's schema; an act that the catalogue does not have is left to the policy,
/// which denies it by name.
///
/// # Errors
/// Every place that does not fit.
pub fn check_params(bundle: &Bundle, call: &CallRequest) -> Result<(), Refusal> {
    match bundle.catalogue().find(&call.act) {
        Some(entry) => entry.check_params(&call.params).map_err(Refusal::by_schema),
        None => Ok(()),
    }
}

/// The input for `data.atb.issue.decision` and `data.atb.approval.assessment`.
pub fn of_request(asked: Asked<'_>, approvals: &[ApprovalFact], now: Timestamp) -> PolicyInput {
    let mut poa = asked.ask.to_value();
    if let Some(members) = poa.as_object_mut() {
        members.insert("iss".to_owned(), Value::String(asked.issuer.to_string()));
        members.insert("aud".to_owned(), asked.aud.iter().map(|id| Value::String(id.to_string())).collect());
        members.insert("tier".to_owned(), asked.tier.map_or(Value::Null, |tier| tier.as_str().into()));
    }
    PolicyInput::new(&PolicyFacts {
        phase: Phase::Issue,
        time: now.as_secs(),
        environment: asked.environment,
        workspace: asked.workspace,
        agent: agent(&asked.ask.sub, asked.platform),
        counters: None,
        guardrails: None,
        unmandated: false,
        poa,
        request: asked.call.map(RequestFacts::from),
        approvals,
        requires_dual_control: asked.requires_dual_control,
    })
}

/// The claims of a mandate as the policy is told of them, with the lifetime that they come to.
#[derive(Serialize)]
struct PoaFacts<'a> {
    iss: &'a SpiffeId,
    sub: &'a SpiffeId,
    aud: &'a [SpiffeId],
    act: &'a ActionName,
    con: &'a Object,
    leg: Cow<'a, Leg>,
    iat: u64,
    nbf: u64,
    exp: u64,
    jti: Jti,
    tier: Tier,
    pol: &'a Revision,
    ttl: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    req: Option<&'a RequestBinding>,
}

/// The input for `data.atb.poa.decision`.
pub fn of_call(
    mandate: &BoundMandate,
    call: &CallRequest,
    approvals: &ProvenApprovals,
    circumstances: Circumstances<'_>,
) -> PolicyInput {
    let Circumstances { workspace, environment, platform, counters, guardrails, now } = circumstances;
    let claims = mandate.claims();
    PolicyInput::new(&PolicyFacts {
        phase: Phase::Call,
        time: now.as_secs(),
        environment,
        workspace,
        agent: agent(&claims.sub, platform),
        counters: Some(counters),
        guardrails,
        unmandated: false,
        poa: PoaFacts {
            iss: &claims.iss,
            sub: &claims.sub,
            aud: &claims.aud,
            act: &claims.act,
            con: &claims.con,
            leg: without_statements(&claims.leg),
            iat: claims.iat,
            nbf: claims.nbf,
            exp: claims.exp,
            jti: claims.jti,
            tier: claims.tier,
            pol: &claims.pol,
            ttl: claims.exp.saturating_sub(claims.iat),
            req: claims.req.as_ref(),
        },
        request: Some(call.into()),
        approvals: approvals.facts(),
        requires_dual_control: claims.leg.dual_control.is_some(),
    })
}

/// The input for `data.atb.poa.decision` about a call that came without a mandate: `poa` is null and nobody approved.
pub fn of_unmandated(caller: &SpiffeId, call: &CallRequest, circumstances: Circumstances<'_>) -> PolicyInput {
    let Circumstances { workspace, environment, platform, counters, guardrails, now } = circumstances;
    PolicyInput::new(&PolicyFacts {
        phase: Phase::Call,
        time: now.as_secs(),
        environment,
        workspace,
        agent: agent(caller, platform),
        counters: Some(counters),
        guardrails,
        unmandated: true,
        poa: (),
        request: Some(call.into()),
        approvals: &[],
        requires_dual_control: false,
    })
}

fn agent(id: &SpiffeId, platform: Option<PlatformFacts>) -> AgentFacts<'_> {
    AgentFacts { id, trust_domain: id.trust_domain_name(), platform }
}

/// The policy is told of statements through `approvals`, where they are proven; their text only costs time.
fn without_statements(leg: &Leg) -> Cow<'_, Leg> {
    if leg.approval.is_none() && leg.dual_control.is_none() {
        return Cow::Borrowed(leg);
    }
    let mut leg = leg.clone();
    let single = leg.approval.iter_mut().map(|approval| &mut approval.statement);
    let dual = leg.dual_control.iter_mut().flat_map(|dual| &mut dual.approvers).map(|approver| &mut approver.statement);
    single.chain(dual).for_each(String::clear);
    Cow::Owned(leg)
}
