//! `POST /v1/decide`: the same judgement for connectors and gateways that enforce by themselves.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Attempt, Broker, Stop};
use crate::domain::action::{CallPath, CallRequest, Method};
use crate::domain::catalogue::Tier;
use crate::domain::id::{ConnectorId, DecisionId};
use crate::domain::json::{self, Object};
use crate::domain::ledger::{EventType, Subject};
use crate::domain::policy::Decision;
use crate::domain::spiffe::{SpiffeId, VerifiedSvid};
use crate::domain::time::Timestamp;
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

impl Broker {
    /// Judges a call that a connector describes. A denial is an answer, not an error.
    ///
    /// # Errors
    /// A refusal, on record, when the question itself is refused: not well-formed, or not the caller's to ask.
    pub async fn decide(&self, caller: &VerifiedSvid, body: &[u8]) -> Result<Answer, Refusal> {
        let mut attempt = self.attempt(caller.id());
        attempt.subject = Subject { caller: Some(caller.id().clone()), ..Subject::default() };
        let request = match self.admit_question(caller, body) {
            Ok(request) => request,
            Err(refusal) => return Err(self.stopped(attempt, Stop::Refused(refusal)).await),
        };
        attempt.subject.agent = Some(request.agent.clone());
        attempt.workspace = self.ports.policy.bundle().workspace_of(&request.agent);
        if request.peek {
            attempt.subject.detail.insert("peek".to_owned(), "true".to_owned());
        }
        let mut expires_at = None;
        match self.try_decide(&mut attempt, &request, &mut expires_at).await {
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

    fn admit_question(&self, caller: &VerifiedSvid, body: &[u8]) -> Result<DecideRequest, Refusal> {
        let request: DecideRequest = json::parse_as(body)?;
        if !self.ports.calls.may_ask(&request.request.connector, caller.id()) {
            let detail = "you may not ask for decisions on this connector";
            return Err(Refusal::because(Code::CallerNotAllowed, "connector_not_callers", detail));
        }
        Ok(request)
    }

    async fn try_decide(
        &self,
        attempt: &mut Attempt,
        request: &DecideRequest,
        expires_at: &mut Option<Timestamp>,
    ) -> Result<Decision, Stop> {
        let verified = self.verify(attempt, &request.token)?;
        *expires_at = Some(verified.claims().expires_at());
        let mandate = verified.held_as_reported(&request.agent).map_err(|error| super::mandate_refused(&error))?;
        let approvals = self.prove(&mandate)?;
        let call = self.described(&request.request)?;
        if !request.peek {
            return self.authorise(attempt, &mandate, &approvals, &call, false).await.map(|(decision, _)| decision);
        }
        // The place goes back at once: a question that spends nothing is not a call.
        let (decision, _) = self.judge(attempt, &mandate, &approvals, &call).await?;
        let entry = self.entry(attempt, EventType::BrokerDecision, true, "ok");
        self.ports.ledger.record(entry).await.map_err(|error| Stop::Recorded(error.into()))?;
        Ok(decision)
    }

    fn described(&self, call: &DescribedCall) -> Result<CallRequest, Refusal> {
        self.ports.calls.describe(&call.connector, call.method, &call.path, &call.params).map_err(|refused| {
            let pointer = format!("/request{}", refused.pointer);
            Refusal::because(Code::CallRefused, refused.code, refused.detail.clone()).at(pointer, refused.detail)
        })
    }
}
