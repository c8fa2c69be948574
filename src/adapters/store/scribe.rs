//! One group of requests as one transaction, with the signed checkpoint that covers it.
//!
//! ```text
//! BEGIN IMMEDIATE ▶ the requests in turn (store::group) ▶ head (signed) ▶ COMMIT
//! ```
//!
//! Nothing outside the transaction changes here; the caller replaces its state by [`Committed`] when the transaction is
//! durable.

use rusqlite::{Connection, Error, params};

use super::group::{Group, Log, Verdict};
use super::op::{Answer, Op};
use super::rows::{millis, number};
use super::transaction::{Failed, Transaction};
use crate::domain::id::ChallengeId;
use crate::domain::ledger::{Checkpoint, LogKey, Origin};
use crate::domain::time::Timestamp;

/// The shortest time between two kept checkpoints.
const HISTORY_MILLIS: u64 = 60_000;

/// A group that is durable.
pub(super) struct Committed {
    pub(super) log: Log,
    pub(super) checkpoint: Checkpoint,
    pub(super) answers: Vec<Answer>,
    pub(super) challenges: Vec<ChallengeId>,
    /// Of its entries, and what opens them.
    pub(super) bytes: usize,
}

/// Who signs the checkpoints.
#[derive(Debug)]
pub(super) struct Scribe {
    key: LogKey,
    origin: Origin,
    #[cfg(test)]
    pub(super) faults: std::sync::Arc<super::fault::Faults>,
}

impl Scribe {
    pub(super) fn new(key: LogKey, origin: Origin) -> Self {
        Self {
            key,
            origin,
            #[cfg(test)]
            faults: std::sync::Arc::default(),
        }
    }

    /// Writes `ops` on top of `log`, and a kept checkpoint if `keep` or one is due at `now`.
    pub(super) fn write(
        &self,
        conn: &mut Connection,
        log: &Log,
        ops: Vec<Op>,
        now: Timestamp,
        keep: bool,
    ) -> Result<Committed, Failed> {
        let tx = Transaction::begin(conn)?;
        let written = match self.write_in(&tx, log, ops, now, keep) {
            Ok(written) => written,
            Err(error) => return Err(tx.fail(error)),
        };
        #[cfg(test)]
        self.faults.strike(tx)?;
        #[cfg(not(test))]
        tx.commit()?;
        Ok(written.committed())
    }

    fn write_in(&self, db: &Connection, log: &Log, ops: Vec<Op>, now: Timestamp, keep: bool) -> Result<Written, Error> {
        let mut group = Group::on(db, log)?;
        let verdicts = ops.into_iter().map(|op| group.take(op)).collect::<Result<_, _>>()?;
        let Group { mut log, challenges, bytes, .. } = group;
        let frontier = &log.edge.frontier;
        let checkpoint = self.key.sign(&self.origin, frontier.size(), frontier.root());
        let (size, edge) = (number(frontier.size()), frontier.to_bytes());
        db.prepare_cached("UPDATE head SET size = ?, frontier = ?, note = ? WHERE id = 1")?.execute(params![
            size,
            edge,
            checkpoint.note()
        ])?;
        if keep || now.as_millis().abs_diff(log.history_at) >= HISTORY_MILLIS {
            db.prepare_cached(
                "INSERT INTO checkpoint (size, at_ms, frontier, note) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
            )?
            .execute(params![size, millis(now), edge, checkpoint.note()])?;
            log.history_at = now.as_millis();
        }
        Ok(Written { log, checkpoint, verdicts, challenges, bytes })
    }
}

/// A group that is in the transaction.
struct Written {
    log: Log,
    checkpoint: Checkpoint,
    verdicts: Vec<Verdict>,
    challenges: Vec<ChallengeId>,
    bytes: usize,
}

impl Written {
    /// To be called when the transaction is durable: this is where receipts are made.
    fn committed(self) -> Committed {
        let Self { log, checkpoint, verdicts, challenges, bytes } = self;
        let answers = verdicts.into_iter().map(Verdict::durable).collect();
        Committed { log, checkpoint, answers, challenges, bytes }
    }
}
