//! AgentAuth: who calls ▶ what is asked ▶ on what ground ▶ how risky ▶ who must agree ▶ record ▶ mint.
//!
//! Every public method ends in an answer or in one [`Refusal`], and every refusal is on record before it is answered.
//! No mandate leaves without the receipt of its entry ([`SealedMandate::release`]).
//!
//! [`SealedMandate::release`]: crate::domain::mandate::SealedMandate::release

mod approve;
mod delegated;
mod ground;
mod life;
mod mint;
pub mod queue;
mod request;
mod ticket;

use std::sync::Arc;

use josekit::jws::JwsSigner;

use super::facts::{self, Asked};
use super::ports::{AdvanceError, CallDirectory, Challenges, Clock, Entropy, Judged, Ledger, PolicyPoint, Tickets};
use super::recording::{self, Recorded};
use super::refusal::{Code, Refusal};
use super::wanted::Wanted;
use super::withdrawals::LegWithdrawals;
use crate::domain::action::CallRequest;
use crate::domain::approval::{Ask, CallView, Challenge, ChallengeDraft};
use crate::domain::id::{ChallengeId, DecisionId, EventId, Jti, KeyId, WorkspaceId};
use crate::domain::json;
use crate::domain::ledger::{Entry, EventType, PolicyRule, Subject};
use crate::domain::leg::Commit;
use crate::domain::mandate::Mandate;
use crate::domain::policy::{Bundle, Environment, IssueDecision, PlatformFacts, Requirement};
use crate::domain::spiffe::{SpiffeId, TrustBundles, VerifiedSvid};
use crate::domain::time::{Timestamp, Ttl};
use crate::service::view;

pub use approve::Approval;
pub use request::{ApproverSpec, CallSpec, IssueRequest, LegRequest};

/// What AgentAuth is set to.
#[derive(Debug, Clone)]
pub struct IssuerSettings {
    /// AgentAuth's own SPIFFE ID: `iss` of mandates, `aud` of statements.
    pub id: SpiffeId,
    /// The brokers that mandates may be for.
    pub brokers: Vec<SpiffeId>,
    /// The lifetime of a mandate where none is asked for.
    pub default_ttl: Ttl,
    /// The longest lifetime that may be asked for.
    pub max_ttl: Ttl,
    /// Where the services run.
    pub environment: Environment,
}

/// The signing key, as josekit's trait, under its thumbprint.
pub struct MandateSigner {
    /// The key's name.
    pub kid: KeyId,
    /// The key.
    pub signer: Box<dyn JwsSigner>,
}

/// What the issuer stands on.
pub struct IssuerPorts {
    /// The record.
    pub ledger: Arc<dyn Ledger>,
    /// The challenges.
    pub challenges: Arc<dyn Challenges>,
    /// The policy.
    pub policy: Arc<dyn PolicyPoint>,
    /// The systems that hold tickets.
    pub tickets: Arc<dyn Tickets>,
    /// The connectors' routes.
    pub calls: Arc<dyn CallDirectory>,
    /// The trust bundles in force.
    pub trust: Arc<dyn Fn() -> Arc<TrustBundles> + Send + Sync>,
    /// What was withdrawn.
    pub withdrawn: Arc<LegWithdrawals>,
    /// The key of commitments to personal data in grounds; needed where a template commits to a variable.
    pub commit: Option<Arc<dyn Commit>>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Random bits.
    pub entropy: Arc<dyn Entropy>,
}

/// AgentAuth's use cases.
pub struct Issuer {
    settings: IssuerSettings,
    signer: MandateSigner,
    ports: IssuerPorts,
}

/// The answer to a request for a mandate.
#[derive(Debug)]
pub enum Issued {
    /// Nobody had to agree, or everybody did.
    Minted(Box<Minted>),
    /// People must agree first.
    Waiting(Box<Challenge>),
}

/// A mandate with what its answer says about it.
#[derive(Debug)]
pub struct Minted {
    /// The mandate.
    pub mandate: Mandate,
    /// The verdict that let it be issued.
    pub decision_id: DecisionId,
}

/// A request that the policy lets through, before anyone has agreed.
struct Admitted {
    bundle: Arc<Bundle>,
    draft: ChallengeDraft,
    decision_id: DecisionId,
    platform: PlatformFacts,
    recorded: Recorded,
}

impl Issuer {
    /// AgentAuth over its ports.
    pub fn new(settings: IssuerSettings, signer: MandateSigner, ports: IssuerPorts) -> Self {
        Self { settings, signer, ports }
    }

    /// What AgentAuth is set to.
    pub fn settings(&self) -> &IssuerSettings {
        &self.settings
    }

    /// The policy and templates in force.
    pub fn bundle(&self) -> Arc<Bundle> {
        self.ports.policy.bundle()
    }

    /// `POST /issue`.
    ///
    /// # Errors
    /// A refusal, on record.
    pub async fn issue(&self, caller: &VerifiedSvid, body: &[u8]) -> Result<Issued, Refusal> {
        let mut subject = Subject { agent: Some(caller.id().clone()), ..Subject::default() };
        match self.try_issue(caller, body, &mut subject).await {
            Ok(issued) => Ok(issued),
            Err(refusal) => Err(self.refuse(EventType::PoaDenied, subject, refusal).await),
        }
    }

    async fn try_issue(&self, caller: &VerifiedSvid, body: &[u8], subject: &mut Subject) -> Result<Issued, Refusal> {
        let request: IssueRequest = json::parse_as(body)?;
        subject.act = Some(request.act.clone());
        let (carried, asked) = split(&request.approvers)?;
        let admitted = self.admit(caller, request, asked, subject).await?;
        if !carried.is_empty() {
            return self.issue_on_carried(admitted, &carried, subject).await;
        }
        if admitted.draft.requirement.required == 0 {
            return self.mint_at_once(admitted).await.map(Box::new).map(Issued::Minted);
        }
        let now = self.now();
        let id = ChallengeId::new(now, self.ports.entropy.bytes());
        let challenge = Challenge::open(id, admitted.draft.clone(), now);
        self.open_challenge(&challenge, &admitted).await?;
        Ok(Issued::Waiting(Box::new(challenge)))
    }

    /// Ground, call, lifetime and policy: everything but the people.
    async fn admit(
        &self,
        caller: &VerifiedSvid,
        request: IssueRequest,
        asked: Vec<SpiffeId>,
        subject: &mut Subject,
    ) -> Result<Admitted, Refusal> {
        let (agent, platform) = (caller.id(), PlatformFacts::from(caller));
        let now = self.now();
        let decision_id = self.decision_id();
        let workspace = self.ports.policy.bundle().workspace_of(agent);
        let bundle = self.ports.policy.bundle_for(agent);
        let aud = self.audience(request.aud)?;
        let call = request.request.as_ref().map(|spec| self.describe(spec)).transpose()?;
        if let Some(call) = &call {
            if call.act != request.act {
                return Err(Refusal::because(Code::CallRefused, "act_mismatch", "the named call is another act")
                    .at("/request", format!("this call is `{}`", call.act)));
            }
            facts::check_params(&bundle, call)?;
        }
        let free_form_leg = matches!(request.leg, LegRequest::Claim(_));
        let entry = bundle.catalogue().find(&request.act);
        let cap =
            entry.and_then(|entry| entry.max_ttl()).map_or(self.settings.max_ttl, |cap| cap.min(self.settings.max_ttl));
        let ask = Ask {
            sub: agent.clone(),
            leg: self.ground(&bundle, &workspace, request.leg, now)?,
            act: request.act,
            con: request.con,
            req: call.as_ref().map(CallRequest::binding),
            ttl: self.ttl(request.ttl_seconds, cap)?,
        };
        let tier = entry.map(|entry| entry.tier);
        subject.tier = tier;
        subject.template = Some(template_name(&ask));
        let asking = Asked {
            ask: &ask,
            issuer: &self.settings.id,
            aud: &aud,
            tier,
            call: call.as_ref(),
            requires_dual_control: request.requires_dual_control,
            workspace: &workspace,
            environment: self.settings.environment,
            platform: Some(platform),
        };
        let input = facts::of_request(asking, &[], now);
        let judged = self.ports.policy.issue(input.clone()).await;
        let recorded = recording::of(PolicyRule::IssueDecision, &input, &judged, &ask.act, self.ports.entropy.as_ref());
        let recorded = recorded.by(caller);
        recorded.clone().onto(subject);
        let required = judged.verdict.requirement.clone();
        let requirement = self.allowed(&judged, subject).map_err(|refusal| {
            let view = call.as_ref().map(CallView::from);
            refusal.decided(decision_id).wanting(|| Wanted::for_ask(&ask, &aud, view.as_ref(), required.as_ref()))
        })?;
        if judged.bundle.digest() != bundle.digest() {
            // Another bundle was put in force since: what was checked by the one before must hold by it too.
            call.as_ref().map_or(Ok(()), |call| facts::check_params(&judged.bundle, call))?;
            let (templates, leg) = (judged.bundle.templates(), &ask.leg);
            let holds = match free_form_leg {
                true => templates.admit(leg, now),
                false => templates.holds(leg.as_leg(), now).map(drop),
            };
            holds.map_err(|defect| ground::ground_refused(&defect))?;
        }
        self.confirm_ticket(&requirement, &ask, &workspace).await.map_err(|refusal| {
            let view = call.as_ref().map(CallView::from);
            let lacking = refusal.missing(vec!["ticket".to_owned()], None).decided(decision_id);
            lacking.wanting(|| Wanted::for_ask(&ask, &aud, view.as_ref(), Some(&requirement)))
        })?;
        let tier =
            tier.ok_or_else(|| Refusal::because(Code::Denied, "unknown_act", "the catalogue does not have this act"))?;
        let call = call.as_ref().map(CallView::from);
        let draft = ChallengeDraft {
            view: view::of(&judged.bundle, &ask, call.as_ref())?,
            call,
            ask,
            workspace,
            tier,
            aud,
            requirement,
            requires_dual_control: request.requires_dual_control,
            asked,
            pol: judged.bundle.revision().clone(),
            free_form_leg,
            reask_of: None,
        };
        Ok(Admitted { bundle: judged.bundle, draft, decision_id, platform, recorded })
    }

    fn allowed(&self, judged: &Judged<IssueDecision>, subject: &mut Subject) -> Result<Requirement, Refusal> {
        subject.bundle = Some(judged.bundle.revision().clone());
        subject.bundle_digest = Some(judged.bundle.digest());
        match (judged.verdict.decision.allow, &judged.verdict.requirement) {
            (true, Some(requirement)) => Ok(requirement.clone()),
            // An allow without saying who must agree is no answer.
            (true, None) => Err(Refusal::because(Code::Denied, "policy_malformed", "the policy names no requirement")),
            (false, _) => Err(request::pointed_at(Refusal::by_policy(&judged.verdict.decision))),
        }
    }

    fn audience(&self, asked: Option<Vec<SpiffeId>>) -> Result<Vec<SpiffeId>, Refusal> {
        let Some(aud) = asked else { return Ok(self.settings.brokers.clone()) };
        if aud.is_empty() || aud.len() > 16 || aud.iter().any(|id| !self.settings.brokers.contains(id)) {
            return Err(Refusal::new(Code::SchemaViolation, "`aud` may name only brokers of this AgentAuth")
                .at("/aud", "expected one or more of the brokers in /.well-known/atb-configuration"));
        }
        Ok(aud)
    }

    fn describe(&self, spec: &CallSpec) -> Result<CallRequest, Refusal> {
        self.ports.calls.describe(&spec.connector, spec.method, &spec.path, &spec.params).map_err(|refused| {
            let pointer = format!("/request{}", refused.pointer);
            Refusal::because(Code::CallRefused, refused.code, refused.detail.clone()).at(pointer, refused.detail)
        })
    }

    fn ttl(&self, asked: Option<u64>, cap: Ttl) -> Result<Ttl, Refusal> {
        let Some(seconds) = asked else { return Ok(self.settings.default_ttl.min(cap)) };
        Ttl::from_secs(seconds).ok().filter(|ttl| *ttl <= cap).ok_or_else(|| {
            let detail = format!("expected 1 to {} seconds", cap.as_secs());
            Refusal::because(Code::SchemaViolation, "ttl_too_long", detail.clone()).at("/ttl_seconds", detail)
        })
    }

    async fn open_challenge(&self, challenge: &Challenge, admitted: &Admitted) -> Result<(), Refusal> {
        let entry = self.created(challenge, admitted);
        match self.ports.challenges.open(challenge, entry).await {
            Ok(_) => Ok(()),
            Err(AdvanceError::Conflict) => {
                Err(Refusal::new(Code::ChallengeConflict, "a challenge of this id exists; ask anew"))
            }
            Err(AdvanceError::Store(error)) => Err(error.into()),
        }
    }

    fn created(&self, challenge: &Challenge, admitted: &Admitted) -> Entry {
        let mut subject = subject_of(challenge);
        subject.decision_id = Some(admitted.decision_id);
        subject.bundle_digest = Some(admitted.bundle.digest());
        admitted.recorded.clone().onto(&mut subject);
        if let Some(reask) = challenge.draft().reask_of {
            subject.detail.insert("reask_of".to_owned(), reask.challenge.to_string());
            subject.detail.insert("reask".to_owned(), reask.nth.to_string());
        }
        self.entry(EventType::PoaChallengeCreated, challenge.draft().workspace.clone(), subject)
    }

    /// Records a refusal; if that fails, says so instead, because an unrecorded refusal is none.
    pub(super) async fn refuse(&self, event: EventType, mut subject: Subject, refusal: Refusal) -> Refusal {
        subject.allow = Some(false);
        subject.reason = Some(refusal.reason.clone());
        subject.decision_id = refusal.decision_id;
        let workspace =
            subject.agent.as_ref().map(|id| self.ports.policy.bundle().workspace_of(id)).unwrap_or_default();
        subject.detail.insert("code".to_owned(), refusal.code.as_str().to_owned());
        match self.ports.ledger.record(self.entry(event, workspace, subject)).await {
            Ok(_) => refusal,
            Err(error) => error.into(),
        }
    }

    /// A caller was refused before its request reached a use case (a body too large, a wrong content type, no such
    /// path): the same record as any other refusal.
    pub async fn refuse_at_door(&self, caller: &SpiffeId, refusal: Refusal) -> Refusal {
        let subject = Subject { agent: Some(caller.clone()), ..Subject::default() };
        self.refuse(EventType::PoaDenied, subject, refusal).await
    }

    fn entry(&self, event_type: EventType, workspace: WorkspaceId, subject: Subject) -> Entry {
        let at = self.now();
        let subject = recording::hide_request(subject, self.ports.entropy.as_ref());
        Entry { event_id: EventId::new(at, self.ports.entropy.bytes()), event_type, at, workspace, subject }
    }

    fn decision_id(&self) -> DecisionId {
        DecisionId::new(self.now(), self.ports.entropy.bytes())
    }

    fn jti(&self, now: Timestamp) -> Jti {
        Jti::new(now, self.ports.entropy.bytes())
    }

    fn now(&self) -> Timestamp {
        self.ports.clock.now()
    }
}

/// The statements that came along, and who is named to be asked. One or the other.
fn split(approvers: &[ApproverSpec]) -> Result<(Vec<String>, Vec<SpiffeId>), Refusal> {
    let mut carried = Vec::new();
    let mut named: Vec<SpiffeId> = Vec::new();
    for approver in approvers {
        match approver {
            ApproverSpec::Carried(statement) => carried.push(statement.clone()),
            ApproverSpec::Named(id) if !named.contains(id) => named.push(id.clone()),
            ApproverSpec::Named(_) => {
                return Err(Refusal::new(Code::SchemaViolation, "`approvers` names one identity twice")
                    .at("/approvers", "expected distinct approvers"));
            }
        }
    }
    if approvers.len() > 8 || (!carried.is_empty() && !named.is_empty()) {
        return Err(Refusal::new(Code::SchemaViolation, "`approvers` is up to 8 SPIFFE IDs or up to 8 statements")
            .at("/approvers", "expected either SPIFFE IDs or statements, at most 8"));
    }
    Ok((carried, named))
}

fn template_name(ask: &Ask) -> String {
    let template = &ask.leg.as_leg().template;
    format!("{}@{}", template.id, template.version)
}

/// What events about a challenge say about it.
fn subject_of(challenge: &Challenge) -> Subject {
    let draft = challenge.draft();
    Subject {
        agent: Some(challenge.agent().clone()),
        act: Some(draft.ask.act.clone()),
        tier: Some(draft.tier),
        challenge_id: Some(challenge.id()),
        template: Some(template_name(&draft.ask)),
        connector: draft.ask.req.as_ref().map(|req| req.connector.clone()),
        method: draft.ask.req.as_ref().map(|req| req.method),
        path: draft.ask.req.as_ref().map(|req| req.path.clone()),
        request_digest: draft.ask.req.as_ref().map(|req| req.digest),
        bundle: Some(draft.pol.clone()),
        approvers: challenge.votes().iter().map(|vote| vote.approver.clone()).collect(),
        ..Subject::default()
    }
}
