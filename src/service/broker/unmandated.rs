//! Calls without a mandate: low-risk reads that the configuration and the policy let through, and nothing else.
//!
//! The way is that of any call from its canonical form on: policy, parameters, record, permit, connector, outcome. There
//! is no mandate to prove and none to burn, so the decision's own id stands for the call. Off unless the configuration
//! says otherwise ([`BrokerSettings::allow_unmandated_low_risk`](super::BrokerSettings)).
//!
//! INVARIANT: the policy is not the only lock. Whatever it answers, the agent is one of the directory, and the act is on
//! the bundle's allowlist, of tier low and read-only.

use super::{Attempt, Broker, IncomingCall, Permit, Stop};
use crate::domain::action::CallRequest;
use crate::domain::ledger::{CallKey, EventType};
use crate::domain::policy::Bundle;
use crate::domain::spiffe::VerifiedSvid;
use crate::service::facts;
use crate::service::refusal::{Code, Refusal};
use crate::service::wanted::Wanted;

impl Broker {
    pub(super) async fn try_unmandated<C: IncomingCall>(
        &self,
        attempt: &mut Attempt,
        caller: &VerifiedSvid,
        incoming: C,
    ) -> Result<(Permit, C::Forward), Stop> {
        attempt.subject.detail.insert("unmandated".to_owned(), "true".to_owned());
        let (call, forward) = incoming.canonicalise().await?;
        let permit = self.authorise_unmandated(attempt, caller, &call).await.map_err(|stop| self.lacking(stop, &call));
        Ok((permit?, forward))
    }

    async fn authorise_unmandated(
        &self,
        attempt: &mut Attempt,
        caller: &VerifiedSvid,
        call: &CallRequest,
    ) -> Result<Permit, Stop> {
        attempt.subject.act = Some(call.act.clone());
        attempt.note(call);
        let reserved = self.reserve(attempt, caller.id(), call)?;
        let guarded = self.guard(attempt, call).await;
        let circumstances = self.circumstances(attempt, &reserved, guarded.as_ref());
        let input = facts::of_unmandated(caller.id(), call, circumstances);
        let judged = self.ask(attempt, input, call, guarded.as_ref()).await?;
        if !is_low_risk(&judged.bundle, caller, call) {
            let detail = "only reads on the bundle's low-risk allowlist go without a mandate, for agents that it knows";
            return Err(Refusal::because(Code::Denied, "unmandated_not_allowed", detail).into());
        }
        let allowed = self.entry(attempt, EventType::BrokerDecision, true, "ok");
        let at = allowed.at;
        let recorded = self.ports.ledger.record_unmandated(attempt.decision_id, allowed).await;
        // Nothing is on record and the record cannot be written: the refusal itself says so.
        let receipt = recorded.map_err(|error| Stop::Recorded(error.into()))?;
        reserved.confirm(at);
        self.permit(attempt, CallKey::Unmandated(attempt.decision_id), call.clone(), &judged.verdict, &receipt)
    }

    /// With a mandate the same call may be allowed: the agent is told what to ask for.
    fn lacking(&self, stop: Stop, call: &CallRequest) -> Stop {
        match stop {
            Stop::Refused(refusal) if refusal.code == Code::Denied => {
                let wanted = Wanted::for_call(call, &self.settings.expected.audience);
                Stop::Refused(refusal.missing(vec!["mandate".to_owned()], Some(wanted)))
            }
            stop => stop,
        }
    }
}

fn is_low_risk(bundle: &Bundle, caller: &VerifiedSvid, call: &CallRequest) -> bool {
    bundle.agent(caller.id()).is_some() && bundle.is_low_risk(&call.act)
}
