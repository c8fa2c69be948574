//! `POST /v1/decide`: the same judgement for connectors and gateways that enforce by themselves.
//!
//! A [`Question`] is what every decision API asks in the end, whatever its wire form; [`Broker::answer`] is the one way
//! to an answer.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Attempt, Broker, Stop};
use crate::domain::action::{CallPath, CallRequest, Method};
use crate::domain::catalogue::Tier;
use crate::domain::id::{ConnectorId, DecisionId};
use crate::domain::json::{self, Object};
use crate::domain::ledger::{EventType, Subject};
use crate::domain::mandate::{BoundMandate, ProvenApprovals, VerifiedMandate};
use crate::domain::policy::Decision;
use crate::domain::spiffe::{SpiffeId, VerifiedSvid};
use crate::domain::time::Timestamp;
use crate::service::ports::NotACall;
use crate::service::refusal::{Code, Refusal};

/// The body of `POST /v1/decide`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DecideRequest {
    /// The mandate that the agent presented to the connector.
    pub token: String,
    /// The call that the connector would make.
    pub request: DescribedCall,
    /// The agent, from the SVID that the connector verified.
    pub agent: SpiffeId,
    /// Judge without spending the mandate.
    #[serde(default)]
    pub peek: bool,
}

/// A call by its parts.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DescribedCall {
    /// The upstream.
    pub connector: ConnectorId,
    /// The method.
    pub method: Method,
    /// The path behind the connector's name.
    pub path: CallPath,
    /// Every parameter.
    #[serde(default)]
    pub params: Object,
}

/// The verdict as answered.
#[derive(Debug, Clone, Serialize)]
pub struct Answer {
    /// Whether the connector may make the call.
    pub allow: bool,
    /// `ok` or why not.
    pub reason: String,
    /// The verdict's id.
    pub decision_id: DecisionId,
    /// The act's tier.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tier: Option<Tier>,
    /// What is missing, where asking for it helps.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<String>,
    /// What the connector must do when it makes the call.
    pub obligations: Vec<Value>,
    /// When the mandate ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
}

/// What a decision API asks, read from its wire form.
#[derive(Debug, Clone)]
pub(super) struct Question {
    /// The mandate; a question without one is denied.
    pub(super) token: Option<String>,
    /// The agent, as the asking side verified it.
    pub(super) agent: SpiffeId,
    /// The upstream.
    pub(super) connector: ConnectorId,
    /// What is done there.
    pub(super) verb: Verb,
    /// The path behind the connector's name.
    pub(super) path: CallPath,
    /// Every parameter.
    pub(super) params: Object,
    /// Judge without spending the mandate.
    pub(super) peek: bool,
}

/// What is done at a path.
#[derive(Debug, Clone)]
pub(super) enum Verb {
    /// A method.
    Method(Method),
    /// An act, whose method the route table gives.
    Act(String),
}

impl From<DecideRequest> for Question {
    fn from(request: DecideRequest) -> Self {
        let DecideRequest { token, request, agent, peek } = request;
        let DescribedCall { connector, method, path, params } = request;
        Self { token: Some(token), agent, connector, verb: Verb::Method(method), path, params, peek }
    }
}

impl Broker {
    /// Judges a call that a connector describes. A denial is an answer, not an error.
    ///
    /// # Errors
    /// A refusal, on record, when the question itself is refused: not well-formed, or not the caller's to ask.
    pub async fn decide(&self, caller: &VerifiedSvid, body: &[u8]) -> Result<Answer, Refusal> {
        let question = json::parse_as::<DecideRequest>(body).map(Question::from).map_err(Refusal::from);
        self.answer(self.asked_by(caller), caller, question).await
    }

    /// The story of a question that `caller` asks about somebody else's call.
    pub(super) fn asked_by(&self, caller: &VerifiedSvid) -> Attempt {
        let subject = Subject { caller: Some(caller.id().clone()), ..Subject::default() };
        Attempt { subject, ..self.attempt(caller.id()) }
    }

    /// As [`Broker::decide`], for a question in whatever form it came.
    pub(super) async fn answer(
        &self,
        mut attempt: Attempt,
        caller: &VerifiedSvid,
        question: Result<Question, Refusal>,
    ) -> Result<Answer, Refusal> {
        let admitted = question.and_then(|question| {
            self.may_ask(&question.connector, caller)?;
            Ok(question)
        });
        let question = match admitted {
            Ok(question) => question,
            Err(refusal) => return Err(self.stopped(attempt, Stop::Refused(refusal)).await),
        };
        self.note_agent(&mut attempt, &question.agent);
        if question.peek {
            attempt.subject.detail.insert("peek".to_owned(), "true".to_owned());
        }
        let mut expires_at = None;
        match self.try_decide(&mut attempt, &question, &mut expires_at).await {
            Ok(decision) => Ok(Answer {
                allow: true,
                reason: decision.reason,
                decision_id: attempt.decision_id,
                tier: decision.tier,
                missing: Vec::new(),
                obligations: decision.obligations,
                expires_at,
            }),
            Err(stop) => {
                let (decision_id, tier) = (attempt.decision_id, attempt.subject.tier);
                let refusal = self.stopped(attempt, stop).await;
                if matches!(refusal.code, Code::Busy | Code::RecordUnavailable | Code::Internal) {
                    return Err(refusal);
                }
                let missing = refusal.lack.map(|lack| lack.missing).unwrap_or_default();
                let reason = refusal.reason;
                Ok(Answer { allow: false, reason, decision_id, tier, missing, obligations: Vec::new(), expires_at })
            }
        }
    }

    /// Only a connector's own workloads ask about calls to it.
    pub(super) fn may_ask(&self, connector: &ConnectorId, caller: &VerifiedSvid) -> Result<(), Refusal> {
        if self.ports.calls.may_ask(connector, caller.id()) {
            return Ok(());
        }
        let detail = "you may not ask for decisions on this connector";
        Err(Refusal::because(Code::CallerNotAllowed, "connector_not_callers", detail))
    }

    /// Whose call it is that a decision is asked about.
    pub(super) fn note_agent(&self, attempt: &mut Attempt, agent: &SpiffeId) {
        attempt.subject.agent = Some(agent.clone());
        attempt.workspace = self.ports.policy.bundle().workspace_of(agent);
    }

    async fn try_decide(
        &self,
        attempt: &mut Attempt,
        question: &Question,
        expires_at: &mut Option<Timestamp>,
    ) -> Result<Decision, Stop> {
        let verified = self.verify(attempt, presented(question.token.as_deref())?)?;
        *expires_at = Some(verified.claims().expires_at());
        let (mandate, approvals) = self.held_as_reported(verified, &question.agent)?;
        let call = self.described(question)?;
        if !question.peek {
            return self.authorise(attempt, &mandate, &approvals, &call, false).await.map(|(decision, _)| decision);
        }
        // The place goes back at once: a question that spends nothing is not a call.
        let (decision, _) = self.judge(attempt, &mandate, &approvals, &call).await?;
        let entry = self.entry(attempt, EventType::BrokerDecision, true, "ok");
        self.ports.ledger.record(entry).await.map_err(|error| Stop::Recorded(error.into()))?;
        Ok(decision)
    }

    /// The mandate and its approvals, proven; that `agent` holds it is the asking side's word.
    pub(super) fn held_as_reported(
        &self,
        verified: VerifiedMandate,
        agent: &SpiffeId,
    ) -> Result<(BoundMandate, ProvenApprovals), Refusal> {
        let mandate = verified.held_as_reported(agent).map_err(|error| super::mandate_refused(&error))?;
        let approvals = self.prove(&mandate)?;
        Ok((mandate, approvals))
    }

    fn described(&self, question: &Question) -> Result<CallRequest, Refusal> {
        let Question { connector, path, params, .. } = question;
        let refused = |refused: NotACall| {
            let pointer = format!("/request{}", refused.pointer);
            Refusal::because(Code::CallRefused, refused.code, refused.detail.clone()).at(pointer, refused.detail)
        };
        let method = match &question.verb {
            Verb::Method(method) => *method,
            Verb::Act(act) => self.ports.calls.method_of(connector, path, act).map_err(refused)?,
        };
        self.ports.calls.describe(connector, method, path, params).map_err(refused)
    }
}

/// The mandate that came with a question about somebody else's call.
pub(super) fn presented(token: Option<&str>) -> Result<&str, Refusal> {
    token.ok_or_else(|| {
        let refusal = Refusal::new(Code::CredentialMissing, "no mandate came with the call");
        refusal.missing(vec!["mandate".to_owned()], None)
    })
}
