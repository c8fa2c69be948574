//! The broker (the PEP): verify ▶ holder ▶ approvals again ▶ route→act ▶ policy ▶ burn + record ▶ connector ▶ outcome.
//!
//! [`Broker::enforce`] is the only way to a [`Permit`], and a connector is called only with one. All refusals come
//! before the burn; after it there is exactly one decision entry and, later, exactly one outcome entry.

mod data;
mod decide;
mod permit;

use std::collections::BTreeSet;
use std::sync::Arc;

use super::facts;
use super::ports::{Burn, BurnError, CallDirectory, Clock, Entropy, Ledger, PolicyPoint};
use super::refusal::{Code, Refusal};
use super::view;
use super::wanted::{NamedCall, Wanted, missing_for};
use super::withdrawals::LegWithdrawals;
use crate::domain::action::CallRequest;
use crate::domain::id::{DecisionId, EventId, WorkspaceId};
use crate::domain::jose::MandateKeys;
use crate::domain::ledger::{Entry, EventType, Receipt, Subject};
use crate::domain::leg::GroundDefect;
use crate::domain::mandate::{
    BoundMandate, Expected, MandateError, ProvenApprovals, UnverifiedMandate, VerifiedMandate,
};
use crate::domain::policy::Decision;
use crate::domain::spiffe::{SpiffeId, TrustBundles, VerifiedSvid};
use crate::domain::time::Timestamp;

pub use data::{Asked, DataAnswer};
pub use decide::{Answer, DecideRequest};
pub use permit::{CallInDoubt, CallOutcome, Permit};

/// What the broker stands on.
pub struct BrokerPorts {
    /// The record.
    pub ledger: Arc<dyn Ledger>,
    /// Who may ask the policy by OPA's Data API; nobody else.
    pub data_api: BTreeSet<SpiffeId>,
    /// The policy.
    pub policy: Arc<dyn PolicyPoint>,
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

/// The broker's use cases.
pub struct Broker {
    expected: Expected,
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
}

/// One call's story so far: what the record will say about it, however it ends.
struct Attempt {
    decision_id: DecisionId,
    workspace: WorkspaceId,
    subject: Subject,
    started: u64,
    arrived: Timestamp,
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
    pub fn new(expected: Expected, ports: BrokerPorts) -> Self {
        Self { expected, ports: Arc::new(ports) }
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
        let mut attempt = self.attempt(caller.id());
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
        let (mandate, approvals) = self.hold(attempt, caller, unverified_jwt, &incoming)?;
        let (call, forward) = incoming.canonicalise().await?;
        let authorised = self.authorise(attempt, &mandate, &approvals, &call, true).await;
        let (decision, receipt) =
            authorised.map_err(|stop| stop.wanting(|| Wanted::for_call(&call, &self.expected.audience)))?;
        let permit = self.permit(attempt, &mandate, call, &decision, &receipt)?;
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
            let wanted = incoming.named().map(|call| Wanted::for_named(call, &self.expected.audience));
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
            started: self.ports.clock.monotonic_micros(),
            arrived,
        }
    }

    fn verify(&self, attempt: &mut Attempt, unverified_jwt: &str) -> Result<VerifiedMandate, Refusal> {
        let verified = UnverifiedMandate::parse(unverified_jwt)
            .and_then(|mandate| mandate.verify(&(self.ports.keys)(), &self.expected, attempt.arrived))
            .map_err(|error| mandate_refused(&error))?;
        let claims = verified.claims();
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
        let decision = self.judge(attempt, mandate, approvals, call).await?;
        let (challenge, approvals_until) = approvals.challenge().unzip();
        let burn = Burn {
            jti: mandate.claims().jti,
            challenge,
            keep_until: approvals_until.map_or(mandate.keep_until(), |until| until.max(mandate.keep_until())),
            calls,
        };
        let spent = self.entry(attempt, EventType::BrokerDecision, true, "ok");
        let replayed = self.entry(attempt, EventType::PoaSingleUseReplayBlocked, false, "mandate_replayed");
        match self.ports.ledger.burn_and_record(burn, spent, replayed).await {
            Ok(receipt) => Ok((decision, receipt)),
            Err(BurnError::Replayed(_)) => {
                let detail = "the mandate, or the approval in it, was used before; ask for a new one";
                Err(Stop::Recorded(Refusal::new(Code::MandateReplayed, detail).decided(attempt.decision_id)))
            }
            // Nothing is on record and the record cannot be written: the refusal itself says so.
            Err(BurnError::Store(error)) => Err(Stop::Recorded(error.into())),
        }
    }

    /// The verdict, with everything about the call noted for the record.
    async fn judge(
        &self,
        attempt: &mut Attempt,
        mandate: &BoundMandate,
        approvals: &ProvenApprovals,
        call: &CallRequest,
    ) -> Result<Decision, Refusal> {
        attempt.subject.connector = Some(call.connector.clone());
        attempt.subject.method = Some(call.method);
        attempt.subject.path = Some(call.path.clone());
        attempt.subject.request_digest = Some(call.digest());
        attempt.subject.approvers = approvals.facts().iter().map(|fact| fact.id.clone()).collect();
        attempt.subject.challenge_id = approvals.challenge().map(|(id, _)| id);
        mandate.covers(call).map_err(|error| {
            let missing = missing_for(error.code(), &[]);
            Refusal::because(Code::Denied, error.code(), error.to_string()).missing(missing, None)
        })?;
        let leg = &mandate.claims().leg;
        self.ports.withdrawn.check(leg).map_err(|defect| ground_refused(&defect))?;
        let input = facts::of_call(mandate, call, approvals, &attempt.workspace, attempt.arrived);
        let judged = self.ports.policy.decide(input).await;
        attempt.subject.bundle = Some(judged.bundle.revision().clone());
        attempt.subject.bundle_digest = Some(judged.bundle.digest());
        attempt.subject.tier = judged.verdict.tier;
        if !judged.verdict.allow {
            return Err(Refusal::by_policy(&judged.verdict));
        }
        facts::check_params(&judged.bundle, call)?;
        judged.bundle.templates().holds(leg, attempt.arrived).map_err(|defect| ground_refused(&defect))?;
        view::was_shown(&judged.bundle, mandate, approvals, call)?;
        Ok(judged.verdict)
    }

    fn permit(
        &self,
        attempt: &Attempt,
        mandate: &BoundMandate,
        call: CallRequest,
        decision: &Decision,
        receipt: &Receipt,
    ) -> Result<Permit, Stop> {
        let doubt = CallInDoubt::new(
            Arc::clone(&self.ports),
            mandate.claims().jti,
            attempt.workspace.clone(),
            Subject {
                agent: attempt.subject.agent.clone(),
                act: attempt.subject.act.clone(),
                tier: attempt.subject.tier,
                decision_id: Some(attempt.decision_id),
                jti: attempt.subject.jti,
                connector: attempt.subject.connector.clone(),
                ..Subject::default()
            },
        );
        Permit::new(attempt.decision_id, mandate.claims().jti, call, decision.obligations.clone(), doubt, receipt)
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
        let event_id = EventId::new(at, self.ports.entropy.bytes());
        Entry { event_id, event_type, at, workspace: attempt.workspace.clone(), subject }
    }

    /// After a crash: every call whose outcome nobody knows is recorded so, and never retried. Returns how many.
    ///
    /// # Errors
    /// When the store cannot be read or written.
    pub async fn settle_calls_in_doubt(&self) -> Result<usize, Refusal> {
        let doubtful = self.ports.ledger.calls_in_doubt().await?;
        let count = doubtful.len();
        for (jti, decision) in doubtful {
            let subject = Subject {
                agent: decision.subject.agent,
                act: decision.subject.act,
                tier: decision.subject.tier,
                decision_id: decision.subject.decision_id,
                jti: Some(jti),
                connector: decision.subject.connector,
                ..Subject::default()
            };
            CallInDoubt::new(Arc::clone(&self.ports), jti, decision.workspace, subject)
                .settle(CallOutcome::UNKNOWN)
                .await?;
        }
        Ok(count)
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
