//! The proof that an entry is durable, and by what a permitted call is known until its outcome is on record too.

use std::fmt;

#[cfg(feature = "server")]
use super::entry::Entry;
use super::entry::{EventType, Subject};
use crate::domain::id::{DecisionId, EventId, Jti};

/// By what a permitted call is known until its outcome is on record: the mandate that it spent, or, where it came
/// without one, the decision that permitted it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CallKey {
    /// The mandate that it spent.
    Mandate(Jti),
    /// The decision on a call without a mandate.
    Unmandated(DecisionId),
}

impl CallKey {
    /// What a decision's entry says that its call is known by; none where it names neither.
    pub fn of(decision: &Subject) -> Option<Self> {
        decision.jti.map(Self::Mandate).or(decision.decision_id.map(Self::Unmandated))
    }

    /// The mandate, where there is one.
    pub fn jti(self) -> Option<Jti> {
        match self {
            Self::Mandate(jti) => Some(jti),
            Self::Unmandated(_) => None,
        }
    }

    /// The 16 bytes as stored. Both are UUIDv7s, of which no two are the same.
    pub fn as_bytes(&self) -> &[u8; 16] {
        match self {
            Self::Mandate(jti) => jti.as_bytes(),
            Self::Unmandated(decision) => decision.as_bytes(),
        }
    }
}

impl fmt::Display for CallKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mandate(jti) => jti.fmt(f),
            Self::Unmandated(decision) => write!(f, "without mandate, {decision}"),
        }
    }
}

/// Proof that an entry is durable. Only the store makes one; without it no mandate is released and no call is made.
#[derive(Debug)]
pub struct Receipt {
    seq: u64,
    event_id: EventId,
    event_type: EventType,
    jti: Option<Jti>,
    /// The decision that the entry says was an allow.
    allowed: Option<DecisionId>,
}

/// What a receipt for an entry will say, taken from the entry before it is handed to whoever writes it.
#[cfg(feature = "server")]
#[derive(Debug, Clone, Copy)]
pub(crate) struct ReceiptDraft {
    event_id: EventId,
    event_type: EventType,
    jti: Option<Jti>,
    allowed: Option<DecisionId>,
}

#[cfg(feature = "server")]
impl ReceiptDraft {
    pub(crate) fn of(entry: &Entry) -> Self {
        let Subject { jti, allow, decision_id, .. } = entry.subject;
        let allowed = decision_id.filter(|_| allow == Some(true));
        Self { event_id: entry.event_id, event_type: entry.event_type, jti, allowed }
    }

    /// For the store alone, after the transaction that holds the entry at `seq` is on disk.
    pub(crate) fn durable_at(self, seq: u64) -> Receipt {
        let Self { event_id, event_type, jti, allowed } = self;
        Receipt { seq, event_id, event_type, jti, allowed }
    }
}

impl Receipt {
    /// The entry's index in this writer's log.
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// The entry that is durable.
    pub fn event_id(&self) -> EventId {
        self.event_id
    }

    /// Whether the durable entry records the issuance of the mandate `jti`.
    pub fn proves_issuance_of(&self, jti: Jti) -> bool {
        matches!(self.event_type, EventType::PoaIssued | EventType::PoaIssuedDualControl) && self.jti == Some(jti)
    }

    /// Whether the durable entry records the broker's allow `decision` for the call that is known by `key`.
    pub fn proves_permission(&self, key: CallKey, decision: DecisionId) -> bool {
        let keyed = match key {
            CallKey::Mandate(jti) => self.jti == Some(jti),
            CallKey::Unmandated(id) => self.jti.is_none() && id == decision,
        };
        self.event_type == EventType::BrokerDecision && self.allowed == Some(decision) && keyed
    }
}

#[cfg(all(test, feature = "server"))]
mod tests {
    use super::*;
    use crate::domain::id::WorkspaceId;
    use crate::domain::time::Timestamp;

    #[test]
    fn only_the_entry_that_allows_this_call_permits_it() {
        let at = Timestamp::from_secs(1);
        let (jti, other) = (Jti::new(at, [1; 10]), Jti::new(at, [2; 10]));
        let (decision, another) = (DecisionId::new(at, [3; 10]), DecisionId::new(at, [4; 10]));
        let receipt = |event_type, allow, jti| {
            let subject = Subject { allow, jti, decision_id: Some(decision), ..Subject::default() };
            let event_id = EventId::new(at, [9; 10]);
            let entry = Entry { event_id, event_type, at, workspace: WorkspaceId::default(), subject };
            ReceiptDraft::of(&entry).durable_at(7)
        };
        let (with, without) = (CallKey::Mandate(jti), CallKey::Unmandated(decision));
        let mandated = receipt(EventType::BrokerDecision, Some(true), Some(jti));
        assert!(mandated.proves_permission(with, decision));
        assert!(!mandated.proves_permission(CallKey::Mandate(other), decision));
        assert!(!mandated.proves_permission(with, another));
        assert!(!mandated.proves_permission(without, decision), "a mandate was spent");
        let unmandated = receipt(EventType::BrokerDecision, Some(true), None);
        assert!(unmandated.proves_permission(without, decision));
        assert!(!unmandated.proves_permission(with, decision));
        assert!(!unmandated.proves_permission(CallKey::Unmandated(another), another));
        for (event_type, allow) in [
            (EventType::BrokerDecision, Some(false)),
            (EventType::BrokerDecision, None),
            (EventType::PoaSingleUseReplayBlocked, Some(true)),
            (EventType::ConnectorOutcome, Some(true)),
        ] {
            assert!(!receipt(event_type, allow, Some(jti)).proves_permission(with, decision), "{event_type:?}");
            assert!(!receipt(event_type, allow, None).proves_permission(without, decision), "{event_type:?}");
        }
    }
}
