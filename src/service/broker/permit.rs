//! The proof of enforcement, and the outcome that it owes.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::{Broker, BrokerPorts};
use crate::domain::action::CallRequest;
use crate::domain::id::{DecisionId, EventId, Sha256Digest, WorkspaceId};
use crate::domain::ledger::{CallKey, Entry, EventType, Outcome, Receipt, Salt, Subject};
use crate::service::ports::StoreError;
use crate::service::refusal::Refusal;

/// Permission to make one call, once. Made only by the broker, from the receipt of the durable decision; a connector
/// takes it by value.
#[derive(Debug)]
pub struct Permit {
    decision_id: DecisionId,
    call: CallRequest,
    obligations: Vec<Value>,
    doubt: CallInDoubt,
}

impl Permit {
    /// `None` when the receipt does not prove that this decision permits this call.
    pub(super) fn new(
        decision_id: DecisionId,
        key: CallKey,
        call: CallRequest,
        obligations: Vec<Value>,
        doubt: CallInDoubt,
        receipt: &Receipt,
    ) -> Option<Self> {
        receipt.proves_permission(key, decision_id).then_some(Self { decision_id, call, obligations, doubt })
    }

    /// The verdict's id.
    pub fn decision_id(&self) -> DecisionId {
        self.decision_id
    }

    /// The one call that may be made.
    pub fn call(&self) -> &CallRequest {
        &self.call
    }

    /// What the enforcing side must do.
    pub fn obligations(&self) -> &[Value] {
        &self.obligations
    }

    /// Spends the permit on the call: what remains is to say how it ended.
    pub fn spend(self) -> (CallRequest, CallInDoubt) {
        (self.call, self.doubt)
    }
}

/// How a call ended.
#[derive(Debug, Clone, Copy)]
pub struct CallOutcome {
    /// In one word.
    pub outcome: Outcome,
    /// `ok`, or what went wrong.
    pub reason: &'static str,
    /// The upstream's status, if there was one.
    pub status: Option<u16>,
    /// Bytes of the answer that were passed on.
    pub bytes: u64,
    /// The digest of those bytes, if there was an answer.
    pub digest: Option<Sha256Digest>,
}

impl CallOutcome {
    /// Nobody knows.
    pub const UNKNOWN: Self =
        Self { outcome: Outcome::Unknown, reason: "outcome_unknown", status: None, bytes: 0, digest: None };
}

/// A call that was permitted and whose end is not on record yet. Dropping it leaves the call in doubt: the next start
/// records it as unknown.
pub struct CallInDoubt {
    ports: Arc<BrokerPorts>,
    key: CallKey,
    workspace: WorkspaceId,
    subject: Subject,
    /// The salt that opens the decision; none after a restart, when there is no answer to commit to either.
    salt: Option<Salt>,
    started: u64,
}

impl std::fmt::Debug for CallInDoubt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CallInDoubt({})", self.key)
    }
}

impl CallInDoubt {
    pub(super) fn new(ports: Arc<BrokerPorts>, key: CallKey, workspace: WorkspaceId, subject: Subject) -> Self {
        let started = ports.clock.monotonic_micros();
        Self { ports, key, workspace, subject, salt: None, started }
    }

    /// With the salt under which the answer is committed to.
    #[must_use]
    pub(super) fn salted(self, salt: Option<Salt>) -> Self {
        Self { salt, ..self }
    }

    /// Records how the call ended.
    ///
    /// # Errors
    /// When the record cannot be written: the call stays in doubt.
    pub async fn settle(self, end: CallOutcome) -> Result<Receipt, StoreError> {
        let at = self.ports.clock.now();
        let took = self.ports.clock.monotonic_micros().saturating_sub(self.started);
        let known = end.outcome != Outcome::Unknown;
        let subject = Subject {
            outcome: Some(end.outcome),
            reason: Some(end.reason.to_owned()),
            status: end.status,
            response_bytes: known.then_some(end.bytes),
            response_digest: self.salt.zip(end.digest).map(|(salt, digest)| salt.commit_response(digest)),
            duration_us: known.then_some(took),
            ..self.subject
        };
        let event_id = EventId::new(at, self.ports.entropy.bytes());
        let entry = Entry { event_id, event_type: EventType::ConnectorOutcome, at, workspace: self.workspace, subject };
        self.ports.ledger.record_outcome(self.key, entry).await
    }
}

impl Broker {
    /// After a crash: every call whose outcome nobody knows is recorded so, and never retried. Returns how many.
    ///
    /// # Errors
    /// When the store cannot be read or written.
    pub async fn settle_calls_in_doubt(&self) -> Result<usize, Refusal> {
        let doubtful = self.ports.ledger.calls_in_doubt().await?;
        let count = doubtful.len();
        for (key, decision) in doubtful {
            let subject = Subject {
                detail: carried(&decision.subject),
                agent: decision.subject.agent,
                act: decision.subject.act,
                tier: decision.subject.tier,
                decision_id: decision.subject.decision_id,
                jti: key.jti(),
                connector: decision.subject.connector,
                ..Subject::default()
            };
            CallInDoubt::new(Arc::clone(&self.ports), key, decision.workspace, subject)
                .settle(CallOutcome::UNKNOWN)
                .await?;
        }
        Ok(count)
    }
}

/// Of a decision's further facts the outcome repeats the one that says why it names no mandate.
pub(super) fn carried(decision: &Subject) -> BTreeMap<String, String> {
    let unmandated = decision.detail.get_key_value("unmandated");
    unmandated.map(|(name, value)| (name.clone(), value.clone())).into_iter().collect()
}
