//! Calls that a gateway of somebody else's is about to let through: it hands over the whole request, not a description.
//!
//! The request takes the way of a call through the broker, from its canonical form on, and the mandate is spent; only the
//! call itself is made elsewhere, so no outcome is owed. Who the agent is, the gateway attests; that the gateway may
//! speak for the connector's agents, the connector's file says (`workloads`).

use serde_json::Value;

use super::decide::presented;
use super::{Attempt, Broker, IncomingCall, Stop};
use crate::domain::action::CallRequest;
use crate::domain::id::{ConnectorId, DecisionId};
use crate::domain::policy::Decision;
use crate::domain::spiffe::{SpiffeId, VerifiedSvid};
use crate::service::refusal::{Code, Refusal};
use crate::service::wanted::Wanted;

/// A call at a gateway.
#[derive(Debug)]
pub struct GatewayCall<C> {
    /// The upstream that the gateway stands before.
    pub connector: ConnectorId,
    /// The agent, as the gateway verified it.
    pub agent: SpiffeId,
    /// The mandate that came with the call.
    pub token: Option<String>,
    /// The request as it arrived there.
    pub incoming: C,
}

/// The gateway may let the call through, once.
#[derive(Debug, Clone)]
pub struct Passage {
    /// The verdict's id.
    pub decision_id: DecisionId,
    /// What the gateway must do.
    pub obligations: Vec<Value>,
}

impl Broker {
    /// Judges a call at a gateway; `api` says by which interface it asks. The decision is on record and the mandate is
    /// spent.
    ///
    /// # Errors
    /// A refusal, on record; nothing was spent (or, for a replay, it was spent before).
    pub async fn check<C: IncomingCall>(
        &self,
        caller: &VerifiedSvid,
        api: &'static str,
        asked: Result<GatewayCall<C>, Refusal>,
    ) -> Result<Passage, Refusal> {
        let mut attempt = self.asked_by(caller);
        attempt.subject.detail.insert("api".to_owned(), api.to_owned());
        let judged = match asked {
            Ok(call) => self.try_check(&mut attempt, caller, call).await,
            Err(refusal) => Err(refusal.into()),
        };
        match judged {
            Ok(decision) => Ok(Passage { decision_id: attempt.decision_id, obligations: decision.obligations }),
            Err(stop) => Err(self.stopped(attempt, stop).await),
        }
    }

    async fn try_check<C: IncomingCall>(
        &self,
        attempt: &mut Attempt,
        caller: &VerifiedSvid,
        asked: GatewayCall<C>,
    ) -> Result<Decision, Stop> {
        let GatewayCall { connector, agent, token, incoming } = asked;
        self.may_ask(&connector, caller)?;
        self.note_agent(attempt, &agent);
        let wanted = || incoming.named().map(|call| Wanted::for_named(call, &self.settings.expected.audience));
        let lacks = |refusal: Refusal, what: &str| refusal.missing(vec![what.to_owned()], wanted());
        let token = presented(token.as_deref()).map_err(|refusal| lacks(refusal, "mandate"))?;
        let verified = self.verify(attempt, token).map_err(|refusal| lacks(refusal, "mandate"))?;
        let (mandate, approvals) = self.held_as_reported(verified, &agent)?;
        let (call, _) = incoming.canonicalise().await?;
        same_connector(&call, &connector)?;
        let authorised = self.authorise(attempt, &mandate, &approvals, &call, false).await;
        let wanting = |stop: Stop| stop.wanting(|| Wanted::for_call(&call, &self.settings.expected.audience));
        authorised.map(|(decision, _)| decision).map_err(wanting)
    }
}

/// Whether the caller may ask was judged by the name, so the call must be that connector's.
fn same_connector(call: &CallRequest, connector: &ConnectorId) -> Result<(), Refusal> {
    if call.connector == *connector {
        return Ok(());
    }
    Err(Refusal::new(Code::Internal, "the call is another connector's than the one asked about"))
}
