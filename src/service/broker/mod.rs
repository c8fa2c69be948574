//! The broker (the PEP): verify ▶ holder ▶ approvals again ▶ route→act ▶ policy ▶ burn + record ▶ connector ▶ outcome.
//! Where the configuration lets low-risk reads go without a mandate: route→act ▶ policy ▶ record ▶ connector ▶ outcome.
//!
//! [`Broker::enforce`] is the only way to a [`Permit`], and a connector is called only with one. All refusals come
//! before the burn; after it there is exactly one decision entry and, later, exactly one outcome entry.

mod authzen;
mod counters;
mod data;
mod decide;
mod gateway;
mod permit;
mod unmandated;

use std::collections::BTreeSet;
use std::sync::Arc;

use super::facts::{self, Circumstances};
use super::guardrails::{self, Guardrails};
use super::ports::{Burn, BurnError, CallDirectory, Clock, Entropy, Judged, Ledger, PolicyPoint};
use super::recording;
use super::refusal::{Code, Refusal};
use super::view;
use super::wanted::{NamedCall, Wanted, missing_for};
use super::withdrawals::LegWithdrawals;
use crate::domain::action::CallRequest;
use crate::domain::guardrail::GuardrailFacts;
use crate::domain::id::{DecisionId, EventId, WorkspaceId};
use crate::domain::jose::MandateKeys;
use crate::domain::ledger::{CallKey, Entry, EventType, KeptDocument, PolicyRule, Receipt, Subject};
use crate::domain::leg::GroundDefect;
use crate::domain::mandate::{
    BoundMandate, Expected, MandateError, ProvenApprovals, UnverifiedMandate, VerifiedMandate,
};
use crate::domain::policy::{Decision, Environment, PlatformFacts, PolicyInput};
use crate::domain::spiffe::{SpiffeId, TrustBundles, VerifiedSvid};
use crate::domain::time::Timestamp;

#[cfg(fuzzing)]
pub use authzen::read_evaluations;
pub use authzen::{AllEvaluated, Evaluated, MAX_EVALUATIONS};
use counters::{Reservation, SharedCounters};
pub use data::{Asked, DataAnswer};
pub use decide::{Answer, DecideRequest};
pub use gateway::{GatewayCall, Passage};
pub use permit::{CallInDoubt, CallOutcome, Permit};

/// What the broker stands on.
pub struct BrokerPorts {
    /// The record.
    pub ledger: Arc<dyn Ledger>,
    /// Who may ask the policy by OPA's Data API; nobody else.
    pub data_api: BTreeSet<SpiffeId>,
    /// The policy.
    pub policy: Arc<dyn PolicyPoint>,
    /// What looks at what calls say, where anything does.
    pub guardrails: Option<Guardrails>,
    /// The connectors' routes.
    pub calls: Arc<dyn CallDirectory>,
    /// AgentAuth's keys in force.
    pub keys: Arc<dyn Fn() -> Arc<MandateKeys> + Send + Sync>,
    /// What was withdrawn.
    pub withdrawn: Arc<LegWithdrawals>,
    /// The trust bundles in force.
    pub trust: Arc<dyn Fn() -> Arc<TrustBundles> + Send + Sync>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Random bits.
    pub entropy: Arc<dyn Entropy>,
}

/// What the broker is set to.
#[derive(Debug, Clone)]
pub struct BrokerSettings {
    /// What a mandate must say to be for this broker.
    pub expected: Expected,
    /// Where the services run.
    pub environment: Environment,
    /// Whether the policy may let low-risk reads through that come without a mandate.
    pub allow_unmandated_low_risk: bool,
}

/// The broker's use cases.
pub struct Broker {
    settings: BrokerSettings,
    counters: SharedCounters,
    ports: Arc<BrokerPorts>,
}

/// A call as it arrived, not yet in its canonical form.
pub trait IncomingCall: Send {
    /// What will be sent if the call is permitted.
    type Forward: Send;

    /// Routes the call, reads its body within limits and brings it into its one canonical form.
    ///
    /// # Errors
    /// A refusal for anything that two readers could read differently.
    fn canonicalise(self) -> impl Future<Output = Result<(CallRequest, Self::Forward), Refusal>> + Send;

    /// Which call it is by method and path alone, if a route says so. Reads nothing of the body.
    fn named(&self) -> Option<NamedCall>;

    /// The trace that the caller says it belongs to; for finding things, it decides nothing.
    fn trace_id(&self) -> Option<String> {
        None
    }
}

/// One call's story so far: what the record will say about it, however it ends.
struct Attempt {
    decision_id: DecisionId,
    workspace: WorkspaceId,
    subject: Subject,
    /// The mandate, once it is verified.
    mandate: Option<String>,
    /// What vouches for the agent, where its SVID came to us.
    platform: Option<PlatformFacts>,
    started: u64,
    arrived: Timestamp,
}

impl Attempt {
    fn note(&mut self, call: &CallRequest) {
        self.subject.connector = Some(call.connector.clone());
        self.subject.method = Some(call.method);
        self.subject.path = Some(call.path.clone());
        self.subject.request_digest = Some(call.digest());
    }
}

/// How an attempt stops.
enum Stop {
    /// Not on record yet.
    Refused(Refusal),
    /// On record already, in the transaction that refused it.
    Recorded(Refusal),
}

impl Stop {
    fn wanting(self, wanted: impl FnOnce() -> Wanted) -> Self {
        match self {
            Self::Refused(refusal) => Self::Refused(refusal.wanting(wanted)),
            Self::Recorded(refusal) => Self::Recorded(refusal),
        }
    }
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl Broker {
    /// The broker over its ports.
    pub fn new(settings: BrokerSettings, ports: BrokerPorts) -> Self {
        Self { settings, counters: SharedCounters::default(), ports: Arc::new(ports) }
    }

    /// Judges one call. `Ok` is the permission to make exactly this call once; the decision is on record and the mandate
    /// is spent.
    ///
    /// # Errors
    /// A refusal, on record; nothing was spent (or, for a replay, it was spent before).
    pub async fn enforce<C: IncomingCall>(
        &self,
        caller: &VerifiedSvid,
        unverified_jwt: Option<&str>,
        incoming: C,
    ) -> Result<(Permit, C::Forward), Refusal> {
        let mut attempt = Attempt { platform: Some(caller.into()), ..self.attempt(caller.id()) };
        attempt.subject.detail.extend(incoming.trace_id().map(|trace| ("trace_id".to_owned(), trace)));
        attempt.subject.detail.extend(recording::proof_of(caller));
        let stop = match self.try_enforce(&mut attempt, caller, unverified_jwt, incoming).await {
            Ok(permitted) => return Ok(permitted),
            Err(stop) => stop,
        };
        Err(self.stopped(attempt, stop).await)
    }

    async fn try_enforce<C: IncomingCall>(
        &self,
        attempt: &mut Attempt,
        caller: &VerifiedSvid,
        unverified_jwt: Option<&str>,
        incoming: C,
    ) -> Result<(Permit, C::Forward), Stop> {
        if unverified_jwt.is_none() && self.settings.allow_unmandated_low_risk {
            return self.try_unmandated(attempt, caller, incoming).await;
        }
        let (mandate, approvals) = self.hold(attempt, caller, unverified_jwt, &incoming)?;
        let (call, forward) = incoming.canonicalise().await?;
        let authorised = self.authorise(attempt, &mandate, &approvals, &call, true).await;
        let (decision, receipt) =
            authorised.map_err(|stop| stop.wanting(|| Wanted::for_call(&call, &self.settings.expected.audience)))?;
        let permit = self.permit(attempt, CallKey::Mandate(mandate.claims().jti), call, &decision, &receipt)?;
        Ok((permit, forward))
    }

    /// The mandate and its approvals, all proven. `incoming` is looked at only for a refusal, to say what to ask for.
    fn hold<C: IncomingCall>(
        &self,
        attempt: &mut Attempt,
        caller: &VerifiedSvid,
        unverified_jwt: Option<&str>,
        incoming: &C,
    ) -> Result<(BoundMandate, ProvenApprovals), Refusal> {
        let lacks = |refusal: Refusal, what: &str| {
            let wanted = incoming.named().map(|call| Wanted::for_named(call, &self.settings.expected.audience));
            refusal.missing(vec![what.to_owned()], wanted)
        };
        let unverified_jwt = unverified_jwt.ok_or_else(|| {
            let detail = "a call needs a mandate: `Authorization: Bearer` or `X-PoA-Token`";
            lacks(Refusal::new(Code::CredentialMissing, detail), "mandate")
        })?;
        let verified = self.verify(attempt, unverified_jwt).map_err(|refusal| lacks(refusal, "mandate"))?;
        let mandate = verified.held_by(caller).map_err(|error| lacks(mandate_refused(&error), "mandate"))?;
        let approvals = self.prove(&mandate).map_err(|refusal| lacks(refusal, "approval"))?;
        Ok((mandate, approvals))
    }

    fn attempt(&self, agent: &SpiffeId) -> Attempt {
        let arrived = self.ports.clock.now();
        Attempt {
            decision_id: DecisionId::new(arrived, self.ports.entropy.bytes()),
            workspace: self.ports.policy.bundle().workspace_of(agent),
            subject: Subject { agent: Some(agent.clone()), ..Subject::default() },
            mandate: None,
            platform: None,
            started: self.ports.clock.monotonic_micros(),
            arrived,
        }
    }

    fn verify(&self, attempt: &mut Attempt, unverified_jwt: &str) -> Result<VerifiedMandate, Refusal> {
        let verified = UnverifiedMandate::parse(unverified_jwt)
            .and_then(|mandate| mandate.verify(&(self.ports.keys)(), &self.settings.expected, attempt.arrived))
            .map_err(|error| mandate_refused(&error))?;
        let claims = verified.claims();
        recording::note(&mut attempt.subject, KeptDocument::Mandate, unverified_jwt);
        attempt.mandate = Some(unverified_jwt.to_owned());
        attempt.subject.jti = Some(claims.jti);
        attempt.subject.act = Some(claims.act.clone());
        let template = &claims.leg.template;
        attempt.subject.template = Some(format!("{}@{}", template.id, template.version));
        Ok(verified)
    }

    fn prove(&self, mandate: &BoundMandate) -> Result<ProvenApprovals, Refusal> {
        ProvenApprovals::of(mandate.claims(), &(self.ports.trust)())
            .map_err(|error| Refusal::because(Code::ApprovalRefused, error.code(), error.to_string()))
    }

    /// Coverage, parameters, ground and policy; then, in one transaction, the burn and the record.
    async fn authorise(
        &self,
        attempt: &mut Attempt,
        mandate: &BoundMandate,
        approvals: &ProvenApprovals,
        call: &CallRequest,
        calls: bool,
    ) -> Result<(Decision, Receipt), Stop> {
        let (decision, reserved) = self.judge(attempt, mandate, approvals, call).await?;
        let (challenge, approvals_until) = approvals.challenge().unzip();
        let burn = Burn {
            jti: mandate.claims().jti,
            challenge,
            keep_until: approvals_until.map_or(mandate.keep_until(), |until| until.max(mandate.keep_until())),
            calls,
        };
        let mut spent = self.entry(attempt, EventType::BrokerDecision, true, "ok");
        // Spent with this very entry, so that it is good for nothing any more. One without approvals is AgentAuth's word
        // alone, which is on record: of that the digest is enough.
        if let Some(jws) = attempt.mandate.as_deref().filter(|_| !approvals.is_empty()) {
            recording::keep(&mut spent.subject, KeptDocument::Mandate, jws, self.ports.entropy.as_ref());
        }
        let at = spent.at;
        let mut replayed = self.entry(attempt, EventType::PoaSingleUseReplayBlocked, false, "mandate_replayed");
        replayed.subject = replayed.subject.without_input();
        match self.ports.ledger.burn_and_record(burn, spent, replayed).await {
            Ok(receipt) => {
                reserved.confirm(at);
                Ok((decision, receipt))
            }
            Err(BurnError::Replayed(_)) => {
                let detail = "the mandate, or the approval in it, was used before; ask for a new one";
                Err(Stop::Recorded(Refusal::new(Code::MandateReplayed, detail).decided(attempt.decision_id)))
            }
            // Nothing is on record and the record cannot be written: the refusal itself says so.
            Err(BurnError::Store(error)) => Err(Stop::Recorded(error.into())),
        }
    }

    /// The verdict, with everything about the call noted for the record, and the call's place among those in flight.
    async fn judge(
        &self,
        attempt: &mut Attempt,
        mandate: &BoundMandate,
        approvals: &ProvenApprovals,
        call: &CallRequest,
    ) -> Result<(Decision, Reservation), Refusal> {
        attempt.note(call);
        attempt.subject.approvers = approvals.facts().iter().map(|fact| fact.id.clone()).collect();
        attempt.subject.challenge_id = approvals.challenge().map(|(id, _)| id);
        mandate.covers(call).map_err(|error| {
            let missing = missing_for(error.code(), &[]);
            Refusal::because(Code::Denied, error.code(), error.to_string()).missing(missing, None)
        })?;
        let leg = &mandate.claims().leg;
        self.ports.withdrawn.check(leg).map_err(|defect| ground_refused(&defect))?;
        let reserved = self.reserve(attempt, &mandate.claims().sub, call)?;
        let guarded = self.guard(attempt, call).await;
        let circumstances = self.circumstances(attempt, &reserved, guarded.as_ref());
        let input = facts::of_call(mandate, call, approvals, circumstances);
        let judged = self.ask(attempt, input, call, guarded.as_ref()).await?;
        judged.bundle.templates().holds(leg, attempt.arrived).map_err(|defect| ground_refused(&defect))?;
        view::was_shown(&judged.bundle, mandate, approvals, call)?;
        Ok((judged.verdict, reserved))
    }

    fn reserve(&self, attempt: &Attempt, agent: &SpiffeId, call: &CallRequest) -> Result<Reservation, Refusal> {
        self.counters.reserve(agent, &call.act, &attempt.workspace, attempt.arrived)
    }

    /// What guardrails find in the call, noted for the record.
    async fn guard(&self, attempt: &mut Attempt, call: &CallRequest) -> Option<GuardrailFacts> {
        let found = self.ports.guardrails.as_ref()?.look(call).await;
        guardrails::note(&found, &mut attempt.subject);
        Some(found)
    }

    fn circumstances<'a>(
        &self,
        attempt: &'a Attempt,
        reserved: &'a Reservation,
        guardrails: Option<&'a GuardrailFacts>,
    ) -> Circumstances<'a> {
        Circumstances {
            workspace: &attempt.workspace,
            environment: self.settings.environment,
            platform: attempt.platform,
            counters: reserved.told(),
            guardrails,
            now: attempt.arrived,
        }
    }

    /// The policy's yes, parameters that fit the act, and nothing that guardrails stop.
    async fn ask(
        &self,
        attempt: &mut Attempt,
        input: PolicyInput,
        call: &CallRequest,
        guarded: Option<&GuardrailFacts>,
    ) -> Result<Judged<Decision>, Refusal> {
        let judged = self.ports.policy.decide(input.clone()).await;
        recording::of(PolicyRule::PoaDecision, &input, &judged, &call.act, self.ports.entropy.as_ref())
            .onto(&mut attempt.subject);
        recording::salt_once(&mut attempt.subject, self.ports.entropy.as_ref());
        attempt.subject.bundle = Some(judged.bundle.revision().clone());
        attempt.subject.bundle_digest = Some(judged.bundle.digest());
        attempt.subject.tier = judged.verdict.tier;
        if !judged.verdict.allow {
            return Err(Refusal::by_policy(&judged.verdict));
        }
        facts::check_params(&judged.bundle, call)?;
        if let (Some(guardrails), Some(found)) = (&self.ports.guardrails, guarded) {
            guardrails.hold(found, judged.verdict.tier)?;
        }
        Ok(judged)
    }

    fn permit(
        &self,
        attempt: &Attempt,
        key: CallKey,
        call: CallRequest,
        decision: &Decision,
        receipt: &Receipt,
    ) -> Result<Permit, Stop> {
        let doubt = CallInDoubt::new(
            Arc::clone(&self.ports),
            key,
            attempt.workspace.clone(),
            Subject {
                agent: attempt.subject.agent.clone(),
                act: attempt.subject.act.clone(),
                tier: attempt.subject.tier,
                decision_id: Some(attempt.decision_id),
                jti: attempt.subject.jti,
                connector: attempt.subject.connector.clone(),
                detail: permit::carried(&attempt.subject),
                ..Subject::default()
            },
        )
        .salted(attempt.subject.openings.as_ref().map(|openings| openings.salt()));
        Permit::new(attempt.decision_id, key, call, decision.obligations.clone(), doubt, receipt)
            .ok_or_else(|| Stop::Recorded(Refusal::new(Code::Internal, "the receipt is for another decision")))
    }

    async fn stopped(&self, attempt: Attempt, stop: Stop) -> Refusal {
        match stop {
            Stop::Recorded(refusal) => refusal,
            Stop::Refused(refusal) => {
                let mut entry = self.entry(&attempt, EventType::BrokerDecision, false, &refusal.reason);
                entry.subject.detail.insert("code".to_owned(), refusal.code.as_str().to_owned());
                match self.ports.ledger.record(entry).await {
                    Ok(_) => refusal.decided(attempt.decision_id),
                    Err(error) => error.into(),
                }
            }
        }
    }

    /// A caller was refused before its call reached [`Broker::enforce`]: the same record as any other refusal.
    pub async fn refuse_at_door(&self, caller: &SpiffeId, refusal: Refusal) -> Refusal {
        let attempt = self.attempt(caller);
        self.stopped(attempt, Stop::Refused(refusal)).await
    }

    fn entry(&self, attempt: &Attempt, event_type: EventType, allow: bool, reason: &str) -> Entry {
        let at = self.ports.clock.now();
        let took = self.ports.clock.monotonic_micros().saturating_sub(attempt.started);
        let subject = Subject {
            allow: Some(allow),
            reason: Some(reason.to_owned()),
            decision_id: Some(attempt.decision_id),
            duration_us: Some(took),
            ..attempt.subject.clone()
        };
        let subject = recording::hide_request(subject, self.ports.entropy.as_ref());
        let event_id = EventId::new(at, self.ports.entropy.bytes());
        Entry { event_id, event_type, at, workspace: attempt.workspace.clone(), subject }
    }
}

/// The ground of a mandate does not hold (any more).
fn ground_refused(defect: &GroundDefect) -> Refusal {
    let pointer = format!("/poa/leg{}", defect.pointer());
    Refusal::because(Code::Denied, defect.code(), defect.to_string()).at(pointer, defect.to_string())
}

fn mandate_refused(error: &MandateError) -> Refusal {
    let code = match error {
        MandateError::Holder => Code::IdentityConflict,
        _ => Code::MandateRefused,
    };
    Refusal::because(code, error.code(), error.to_string())
}
