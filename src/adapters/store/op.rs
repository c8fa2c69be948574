//! What callers ask the writer for, prepared in the caller's task so that the one writer has the less to do.

use std::sync::Arc;

use super::allowed::AllowedCall;
use super::life::Succession;
use super::openings::{EraseOf, OpeningRow};
use super::outbox::OutboxChange;
use super::publishing::CosignatureRow;
use super::rows::ChallengeRow;
use super::shipping::ShippingChange;
use super::withdrawals::WithdrawalRow;
use crate::domain::id::DecisionId;
use crate::domain::ledger::{CallKey, Entry, LeafHash, MAX_ENTRY_BYTES, Receipt, ReceiptDraft};
use crate::domain::time::Timestamp;
use crate::service::auditor::{Columns, Tags};
use crate::service::ports::{Burn, SeenToken, StoreError};

/// An entry with all that can be computed before it reaches the writer.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) receipt: ReceiptDraft,
    pub(super) columns: Columns,
    pub(super) body: Vec<u8>,
    pub(super) leaf: LeafHash,
    pub(super) openings: Option<OpeningRow>,
    pub(super) allowed: Option<Arc<AllowedCall>>,
    pub(super) tags: Tags,
}

impl Prepared {
    pub(super) fn of(entry: Entry) -> Result<Self, StoreError> {
        let body = entry.to_bytes();
        // A member without bound would fill the disk; a longer entry has no place in a bundle of entries.
        if body.is_empty() || body.len() > MAX_ENTRY_BYTES {
            return Err(StoreError::Unavailable(format!("an entry of {} bytes is not written", body.len())));
        }
        let openings = entry.subject.openings.as_deref().map(|openings| OpeningRow::of(openings, entry.at));
        let columns = Columns::of(&entry);
        Ok(Self {
            receipt: ReceiptDraft::of(&entry),
            tags: Tags::of(&columns),
            columns,
            leaf: LeafHash::of(&body),
            allowed: AllowedCall::of(&entry).map(Arc::new),
            openings,
            body,
        })
    }
}

/// What a caller asks the writer for.
#[derive(Debug)]
pub(super) enum Op {
    Record(Prepared),
    Burn {
        burn: Burn,
        spent: Prepared,
        replayed: Box<Prepared>,
    },
    /// A call without a mandate, from now on in doubt.
    Call {
        decision: DecisionId,
        allowed: Prepared,
    },
    Outcome {
        call: CallKey,
        outcome: Prepared,
    },
    Open {
        row: ChallengeRow,
        entry: Prepared,
    },
    Advance {
        version: u64,
        row: ChallengeRow,
        entry: Prepared,
    },
    Succeed(Box<Succession>),
    Withdraw {
        row: WithdrawalRow,
        entry: Prepared,
    },
    Prune {
        now: Timestamp,
    },
    /// Remembers a token; no entry.
    See(SeenToken),
    /// Openings; no entry.
    Erase(EraseOf),
    EraseBefore(Timestamp),
    /// The openings of entries, with the entry that says so.
    EraseOf {
        of: EraseOf,
        entry: Prepared,
    },
    /// A queue of notifications, with an entry where that is part of it.
    Outbox {
        change: OutboxChange,
        entry: Option<Prepared>,
    },
    /// A witness's cosignature; no entry.
    Cosigned(CosignatureRow),
    /// A sink's place or what an archive holds, with an entry where that is part of it.
    Shipping {
        change: ShippingChange,
        entry: Option<Prepared>,
    },
    /// Writes the head again: whether a write succeeds.
    Probe,
}

/// What the writer answers.
#[derive(Debug)]
pub(super) enum Answer {
    Written(Receipt),
    Replayed(Receipt),
    Conflict,
    Pruned(u64),
    /// Who handed a token in before, if anybody did; no entry.
    Seen(Option<String>),
    /// Something beside the log changed; no entry.
    Noted,
    Probed,
}
