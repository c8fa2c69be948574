//! What the requests of one group do, in order of arrival: each sees the effects of those before it, so that of two burns
//! of one key in one group the second is a replay.
//!
//! Everything is a statement inside the transaction of [`super::scribe`], or a change to a copy of the log's edge that is
//! thrown away with it. Statements stay prepared; those that most requests need are looked up once a group.

use std::sync::Arc;

use rusqlite::{CachedStatement, Connection, Error, params};

use super::allowed::{AllowedCall, block_of};
use super::life::succeed;
use super::op::{Answer, Op, Prepared};
use super::openings::{OpeningRow, erase_before};
use super::rows::{advance_challenge, insert_node, insert_tile, millis, number, open_challenge, prune};
use super::{places, seen_tokens, withdrawals};
use crate::domain::id::{ChallengeId, DecisionId};
use crate::domain::ledger::ReceiptDraft;
use crate::domain::time::Timestamp;
use crate::service::auditor::{BLOCK, BLOCK_LEVEL, Edge, Tags};
use crate::service::ports::Burn;

type Key = [u8; 16];

/// The log as far as it is durable.
#[derive(Debug, Clone, Default)]
pub(super) struct Log {
    pub(super) edge: Edge,
    /// When the last kept checkpoint was written.
    /// Milliseconds; 0 when there is none.
    pub(super) history_at: u64,
    /// The allowed calls of the block that is not full.
    pub(super) allowed: Vec<Arc<AllowedCall>>,
    /// The tags of its entries.
    pub(super) tags: Vec<Tags>,
}

/// What a request will be answered when its transaction is durable.
pub(super) enum Verdict {
    Written(u64, ReceiptDraft),
    Replayed(u64, ReceiptDraft),
    /// Without an entry.
    Other(Answer),
}

impl Verdict {
    /// To be called when the transaction is durable.
    pub(super) fn durable(self) -> Answer {
        match self {
            Self::Written(seq, receipt) => Answer::Written(receipt.durable_at(seq)),
            Self::Replayed(seq, receipt) => Answer::Replayed(receipt.durable_at(seq)),
            Self::Other(answer) => answer,
        }
    }
}

/// A group while its requests are taken in turn.
pub(super) struct Group<'c> {
    db: &'c Connection,
    statements: Statements<'c>,
    pub(super) log: Log,
    pub(super) challenges: Vec<ChallengeId>,
    pub(super) bytes: usize,
}

impl<'c> Group<'c> {
    pub(super) fn on(db: &'c Connection, log: &Log) -> Result<Self, Error> {
        let statements = Statements::of(db)?;
        Ok(Self { db, statements, log: log.clone(), challenges: Vec::new(), bytes: 0 })
    }

    pub(super) fn take(&mut self, op: Op) -> Result<Verdict, Error> {
        let db = self.db;
        match op {
            Op::Record(entry) => self.append(entry),
            Op::Burn { burn, spent, replayed } => self.burn(&burn, spent, *replayed),
            Op::Call { decision, allowed } => self.call(decision, allowed),
            Op::Outcome { call, outcome } => {
                self.statements.settle.execute([call.as_bytes()])?;
                self.append(outcome)
            }
            Op::Open { row, entry } => {
                let opened = open_challenge(db, &row)?;
                self.challenge(opened, row.id, entry)
            }
            Op::Advance { version, row, entry } => {
                let advanced = advance_challenge(db, version, &row)?;
                self.challenge(advanced, row.id, entry)
            }
            Op::Succeed(succession) => {
                let opened = succeed(db, &succession)?;
                if opened {
                    self.challenges.push(succession.earlier.id);
                }
                self.challenge(opened, succession.row.id, succession.entry)
            }
            Op::Withdraw { row, entry } => {
                let is_new = withdrawals::insert(db, &row)?;
                if is_new { self.append(entry) } else { Ok(Verdict::Other(Answer::Conflict)) }
            }
            // As long as either has a full portion to prune it is asked for again.
            Op::Prune { now } => pruned(prune(db, now)?.max(seen_tokens::prune(db, now)?)),
            Op::See(token) => Ok(Verdict::Other(Answer::Seen(seen_tokens::see(db, &token)?))),
            Op::Erase(of) => pruned(of.apply(db)?),
            Op::EraseBefore(at) => pruned(erase_before(db, at)?),
            Op::EraseOf { of, entry } => {
                of.apply(db)?;
                self.append(entry)
            }
            Op::Outbox { change, entry } => {
                change.apply(db, self.size())?;
                self.noted(entry)
            }
            Op::Cosigned(row) => {
                row.write(db)?;
                self.noted(None)
            }
            Op::Shipping { change, entry } => {
                change.apply(db, self.size())?;
                self.noted(entry)
            }
            Op::Probe => Ok(Verdict::Other(Answer::Probed)),
        }
    }

    fn size(&self) -> u64 {
        self.log.edge.frontier.size()
    }

    fn burn(&mut self, burn: &Burn, spent: Prepared, replayed: Prepared) -> Result<Verdict, Error> {
        for key in keys_of(burn) {
            if self.statements.spent.exists([key])? {
                let (seq, receipt) = self.write(replayed)?;
                return Ok(Verdict::Replayed(seq, receipt));
            }
        }
        for key in keys_of(burn) {
            // INVARIANT: of the two only the mandate's own key can be in doubt; outcomes name mandates.
            let in_doubt = burn.calls && key == *burn.jti.as_bytes();
            self.spend(&key, burn.keep_until, in_doubt)?;
        }
        self.append(spent)
    }

    /// The decision's id stands where a mandate's would, and goes as soon as the outcome is on record: nothing can be
    /// replayed with it.
    fn call(&mut self, decision: DecisionId, allowed: Prepared) -> Result<Verdict, Error> {
        let key = decision.as_bytes();
        if self.statements.spent.exists([key])? {
            return Ok(Verdict::Other(Answer::Conflict));
        }
        self.spend(key, allowed.columns.at, true)?;
        self.append(allowed)
    }

    /// By the entry that comes next.
    fn spend(&mut self, key: &Key, keep_until: Timestamp, in_doubt: bool) -> Result<(), Error> {
        let decision_seq = number(self.size());
        self.statements.burned.execute(params![key, millis(keep_until), decision_seq, in_doubt]).map(|_| ())
    }

    fn challenge(&mut self, changed: bool, id: ChallengeId, entry: Prepared) -> Result<Verdict, Error> {
        if !changed {
            return Ok(Verdict::Other(Answer::Conflict));
        }
        self.challenges.push(id);
        self.append(entry)
    }

    fn noted(&mut self, entry: Option<Prepared>) -> Result<Verdict, Error> {
        entry.map_or(Ok(Verdict::Other(Answer::Noted)), |entry| self.append(entry))
    }

    fn append(&mut self, entry: Prepared) -> Result<Verdict, Error> {
        self.write(entry).map(|(seq, receipt)| Verdict::Written(seq, receipt))
    }

    fn write(&mut self, mut entry: Prepared) -> Result<(u64, ReceiptDraft), Error> {
        let seq = self.size();
        self.statements.insert_entry(number(seq), &entry)?;
        self.bytes += entry.body.len();
        if let Some(openings) = &entry.openings {
            insert_opening(self.db, number(seq), openings)?;
            self.bytes += openings.body.len();
        }
        self.log.allowed.extend(entry.allowed.take());
        self.log.tags.push(entry.tags);
        let Edge { frontier, open_block } = &mut self.log.edge;
        open_block.push(entry.leaf);
        let mut nodes = Vec::new();
        frontier.append_with(entry.leaf, |subtree, root| {
            if subtree.level.is_multiple_of(BLOCK_LEVEL) {
                nodes.push((subtree, root));
            }
        });
        if frontier.size().is_multiple_of(BLOCK) {
            let leaves: Vec<u8> = open_block.drain(..).flat_map(|leaf| *leaf.as_bytes()).collect();
            insert_tile(self.db, seq / BLOCK, &leaves, &block_of(&self.log.allowed))?;
            self.log.allowed.clear();
            places::write(self.db, seq / BLOCK, &self.log.tags)?;
            self.log.tags.clear();
        }
        for (subtree, root) in nodes {
            insert_node(self.db, subtree, root)?;
        }
        Ok((seq, entry.receipt))
    }
}

fn pruned(rows: u64) -> Result<Verdict, Error> {
    Ok(Verdict::Other(Answer::Pruned(rows)))
}

/// What a burn spends: both or nothing.
fn keys_of(burn: &Burn) -> impl Iterator<Item = Key> {
    std::iter::once(*burn.jti.as_bytes()).chain(burn.challenge.map(|id| *id.as_bytes()))
}

fn insert_opening(db: &Connection, seq: i64, row: &OpeningRow) -> Result<(), Error> {
    db.prepare_cached("INSERT INTO opening (seq, at_ms, salt, body) VALUES (?, ?, ?, ?)")?
        .execute(params![seq, millis(row.at), row.salt, row.body])
        .map(|_| ())
}

/// What most groups need, many times each.
struct Statements<'c> {
    entry: CachedStatement<'c>,
    spent: CachedStatement<'c>,
    burned: CachedStatement<'c>,
    settle: CachedStatement<'c>,
}

impl<'c> Statements<'c> {
    fn of(db: &'c Connection) -> Result<Self, Error> {
        Ok(Self {
            entry: db.prepare_cached(
                "INSERT INTO entry (seq, event_type, at_ms, agent, act, reason, jti, challenge_id, decision_id, \
                 workspace, body, leaf) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            )?,
            spent: db.prepare_cached("SELECT 1 FROM burned WHERE key = ?")?,
            // Both keys of a burn may be the same; whether one is spent was asked before.
            burned: db.prepare_cached(
                "INSERT INTO burned (key, expires_at, decision_seq, in_doubt) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
            )?,
            settle: db.prepare_cached("UPDATE burned SET in_doubt = 0 WHERE in_doubt = 1 AND key = ?")?,
        })
    }

    fn insert_entry(&mut self, seq: i64, row: &Prepared) -> Result<(), Error> {
        let columns = &row.columns;
        self.entry
            .execute(params![
                seq,
                columns.event_type,
                millis(columns.at),
                columns.agent,
                columns.act,
                columns.reason,
                columns.jti.as_ref().map(|id| id.as_bytes()),
                columns.challenge_id.as_ref().map(|id| id.as_bytes()),
                columns.decision_id.as_ref().map(|id| id.as_bytes()),
                columns.workspace.as_str(),
                row.body,
                row.leaf.as_bytes(),
            ])
            .map(|_| ())
    }
}
