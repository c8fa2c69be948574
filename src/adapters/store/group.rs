//! One group of requests as one transaction.
//!
//! ```text
//! BEGIN IMMEDIATE ▶ which keys are spent? ▶ challenges ▶ burned ▶ tiles, nodes ▶ entries ▶ head (signed) ▶ COMMIT
//! ```
//!
//! A group of nothing but entries is one round trip to SQLite's thread ([`super::transaction`]).
//!
//! Requests are taken in order of arrival and see the effects of those before them, so that of two burns of one key in
//! one group the second is a replay. Nothing outside the transaction changes here; the caller replaces its state by
//! [`Committed`] when the transaction is durable.

use std::collections::HashSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use sqlx::Row as _;
use sqlx::sqlite::SqliteConnection;

use super::allowed::{AllowedCall, block_of};
use super::batch::{Batch, MOST};
use super::life::succeed;
use super::op::{Answer, Op, Prepared};
use super::openings::OpeningRow;
use super::rows::{advance_challenge, insert_nodes, insert_tiles, millis, number, open_challenge, prune};
use super::transaction::{BEGIN, Failed, Statements, Transaction};
use super::{seen_tokens, withdrawals};
use crate::domain::id::{ChallengeId, DecisionId, Sha256Digest};
use crate::domain::ledger::{Checkpoint, LogKey, Origin, ReceiptDraft, Subtree};
use crate::domain::time::Timestamp;
use crate::service::auditor::{BLOCK, BLOCK_LEVEL, Edge};
use crate::service::ports::Burn;

/// The shortest time between two kept checkpoints.
const HISTORY_MILLIS: u64 = 60_000;

type Key = [u8; 16];
/// A future that can be awaited in a spawned task.
pub(super) type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The log as far as it is durable.
#[derive(Debug, Clone, Default)]
pub(super) struct Log {
    pub(super) edge: Edge,
    /// When the last kept checkpoint was written.
    /// Milliseconds; 0 when there is none.
    pub(super) history_at: u64,
    /// The allowed calls of the block that is not full.
    pub(super) allowed: Vec<Arc<AllowedCall>>,
}

/// A group that is durable.
pub(super) struct Committed {
    pub(super) log: Log,
    pub(super) checkpoint: Checkpoint,
    pub(super) answers: Vec<Answer>,
    pub(super) challenges: Vec<ChallengeId>,
    /// Of its entries, and what opens them.
    pub(super) bytes: usize,
}

/// Who signs the checkpoints, and the statements.
#[derive(Debug)]
pub(super) struct Scribe {
    pub(super) key: LogKey,
    pub(super) origin: Origin,
    /// Entries; the last of a group with the head and `COMMIT`; those of a group that is nothing but entries.
    entries: Batch,
    last_entries: Batch,
    only_entries: Batch,
    openings: Batch,
    burned: Batch,
    spent: Batch,
    first_spent: Batch,
    settle: Batch,
    #[cfg(test)]
    pub(super) faults: Arc<super::fault::Faults>,
}

const ENTRY: &str = "INSERT INTO entry (seq, event_type, at_ms, agent, act, reason, jti, challenge_id, decision_id, \
                     workspace, body, leaf)";
const ENTRY_COLUMNS: usize = 12;
const SPENT: &str = "SELECT key FROM burned WHERE key";
/// The newest checkpoint, in the transaction of the entries that it covers.
const HEAD: &str = "UPDATE head SET size = ?, frontier = ?, note = ? WHERE id = 1; COMMIT";
const FIRST_HEAD: &str = "BEGIN IMMEDIATE; UPDATE head SET size = ?, frontier = ?, note = ? WHERE id = 1; COMMIT";

impl Scribe {
    pub(super) fn new(key: LogKey, origin: Origin) -> Self {
        let tail = format!("; {HEAD}");
        Self {
            key,
            origin,
            entries: Batch::insert(ENTRY, ENTRY_COLUMNS),
            last_entries: Batch::insert_between("", ENTRY, ENTRY_COLUMNS, &tail),
            only_entries: Batch::insert_between(BEGIN, ENTRY, ENTRY_COLUMNS, &tail),
            openings: Batch::insert("INSERT INTO opening (seq, at_ms, salt, body)", 4),
            burned: Batch::insert("INSERT INTO burned (key, expires_at, decision_seq, in_doubt)", 4),
            spent: Batch::keys(SPENT),
            first_spent: Batch::keys(&format!("{BEGIN}{SPENT}")),
            settle: Batch::keys("UPDATE burned SET in_doubt = 0 WHERE in_doubt = 1 AND key"),
            #[cfg(test)]
            faults: Arc::default(),
        }
    }

    /// Writes `ops` on top of `log`, and a kept checkpoint if `keep` or one is due at `now`.
    ///
    /// Boxed, because the compiler cannot show a future over sqlx's executor traits to be `Send` through a spawn.
    pub(super) fn write<'a>(
        &'a self,
        conn: &'a mut SqliteConnection,
        log: &'a Log,
        ops: Vec<Op>,
        now: Timestamp,
        keep: bool,
    ) -> BoxFuture<'a, Result<Committed, Failed>> {
        Box::pin(async move {
            let mut tx = Transaction::on(conn);
            let mut written = match self.write_in(&mut tx, log, ops, now, keep).await {
                Ok(written) => written,
                Err(error) => return tx.fail(error).await,
            };
            let (last, count) = self.last(&mut written, tx.is_open());
            #[cfg(test)]
            self.faults.strike(tx, last, count).await?;
            #[cfg(not(test))]
            tx.commit(last, count).await?;
            Ok(written.committed())
        })
    }

    /// Everything but the last entries and the head.
    async fn write_in(
        &self,
        tx: &mut Transaction<'_>,
        log: &Log,
        ops: Vec<Op>,
        now: Timestamp,
        keep: bool,
    ) -> Result<Written, sqlx::Error> {
        let mut group = Group::on(log);
        group.spent = self.spent_keys(tx, &ops).await?;
        for op in ops {
            group.take(tx, op).await?;
        }
        self.insert_burned(tx, &group.burns).await?;
        for statement in self.settle.over(&group.settled) {
            statement.execute(tx.inside().await?).await?;
        }
        self.insert_openings(tx, std::mem::take(&mut group.openings)).await?;
        if !group.tiles.is_empty() {
            insert_tiles(tx.inside().await?, &group.tiles).await?;
            insert_nodes(tx.inside().await?, &group.nodes).await?;
        }
        let (receipts, rows) = self.insert_entries(tx, group.rows).await?;
        let frontier = &group.log.edge.frontier;
        let checkpoint = self.key.sign(&self.origin, frontier.size(), frontier.root());
        if keep || now.as_millis().abs_diff(group.log.history_at) >= HISTORY_MILLIS {
            keep_checkpoint(tx.inside().await?, &group.log, &checkpoint, now).await?;
            group.log.history_at = now.as_millis();
        }
        Ok(Written {
            log: group.log,
            checkpoint,
            receipts,
            rows,
            verdicts: group.verdicts,
            challenges: group.challenges,
            bytes: group.bytes,
        })
    }

    async fn spent_keys(&self, tx: &mut Transaction<'_>, ops: &[Op]) -> Result<HashSet<Key>, sqlx::Error> {
        let keys: Vec<Key> = ops.iter().flat_map(spent_by).collect();
        let (first, rest) = keys.split_at(keys.len().min(MOST));
        let mut rows = Vec::new();
        for statement in self.first_spent.over(first) {
            rows = tx.begin_with(statement).await?;
        }
        for statement in self.spent.over(rest) {
            rows.append(&mut statement.fetch_all(tx.inside().await?).await?);
        }
        let mut spent = HashSet::new();
        for row in rows {
            let key: &[u8] = row.try_get(0)?;
            spent.extend(Key::try_from(key));
        }
        Ok(spent)
    }

    async fn insert_burned(&self, tx: &mut Transaction<'_>, burns: &[BurnedRow]) -> Result<(), sqlx::Error> {
        let mut rows = burns.iter();
        for (size, statement) in self.burned.exact(burns.len()) {
            let bound = rows.by_ref().take(size).fold(statement, |query, row| {
                query.bind(row.key.to_vec()).bind(millis(row.expires_at)).bind(row.decision_seq).bind(row.in_doubt)
            });
            bound.execute(tx.inside().await?).await?;
        }
        Ok(())
    }

    /// Inserts all but the last rows, which go with the head; the receipts of all, and those last rows.
    async fn insert_entries(
        &self,
        tx: &mut Transaction<'_>,
        mut rows: Vec<(i64, Prepared)>,
    ) -> Result<(Vec<ReceiptDraft>, Vec<(i64, Prepared)>), sqlx::Error> {
        let receipts = rows.iter().map(|(_, row)| row.receipt).collect();
        while rows.len() > MOST {
            let rest = rows.split_off(MOST);
            if let Some(statement) = self.entries.of(MOST) {
                bind_entries(statement, rows).execute(tx.inside().await?).await?;
            }
            rows = rest;
        }
        Ok((receipts, rows))
    }

    async fn insert_openings(&self, tx: &mut Transaction<'_>, rows: Vec<(i64, OpeningRow)>) -> Result<(), sqlx::Error> {
        let statements = self.openings.exact(rows.len());
        let mut rows = rows.into_iter();
        for (size, statement) in statements {
            let bound = rows.by_ref().take(size).fold(statement, |query, (seq, row)| {
                query.bind(seq).bind(millis(row.at)).bind(row.salt).bind(row.body)
            });
            bound.execute(tx.inside().await?).await?;
        }
        Ok(())
    }

    /// The group's last entries, its head and `COMMIT` as one text, and how many statements that text has.
    fn last(&self, written: &mut Written, open: bool) -> (Statements, usize) {
        let rows = std::mem::take(&mut written.rows);
        let (entries, head) = if open { (&self.last_entries, HEAD) } else { (&self.only_entries, FIRST_HEAD) };
        let (statements, own) = match entries.of(rows.len()) {
            Some(statements) => (bind_entries(statements, rows), 1),
            None => (sqlx::query(head), 0),
        };
        let frontier = &written.log.edge.frontier;
        let bound = statements
            .bind(number(frontier.size()))
            .bind(frontier.to_bytes())
            .bind(written.checkpoint.note().to_owned());
        (bound, own + 2 + usize::from(!open))
    }
}

fn bind_entries(statement: Statements, rows: Vec<(i64, Prepared)>) -> Statements {
    rows.into_iter().fold(statement, |query, (seq, row)| {
        let columns = row.columns;
        query
            .bind(seq)
            .bind(columns.event_type)
            .bind(millis(columns.at))
            .bind(columns.agent)
            .bind(columns.act)
            .bind(columns.reason)
            .bind(columns.jti.map(|id| id.as_bytes().to_vec()))
            .bind(columns.challenge_id.map(|id| id.as_bytes().to_vec()))
            .bind(columns.decision_id.map(|id| id.as_bytes().to_vec()))
            .bind(String::from(columns.workspace))
            .bind(row.body)
            .bind(row.leaf.as_bytes().to_vec())
    })
}

async fn keep_checkpoint(
    tx: &mut SqliteConnection,
    log: &Log,
    checkpoint: &Checkpoint,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    sqlx::query("INSERT INTO checkpoint (size, at_ms, frontier, note) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING")
        .bind(number(log.edge.frontier.size()))
        .bind(millis(now))
        .bind(log.edge.frontier.to_bytes())
        .bind(checkpoint.note().to_owned())
        .execute(tx)
        .await?;
    Ok(())
}

struct BurnedRow {
    key: Key,
    expires_at: Timestamp,
    decision_seq: i64,
    in_doubt: bool,
}

/// What became of one request; those with an entry take the next one of the group.
enum Verdict {
    Written,
    Replayed,
    Conflict,
    Pruned(u64),
    Seen(Option<String>),
    Noted,
    Probed,
}

/// A group while its requests are taken in turn.
struct Group {
    log: Log,
    spent: HashSet<Key>,
    verdicts: Vec<Verdict>,
    rows: Vec<(i64, Prepared)>,
    openings: Vec<(i64, OpeningRow)>,
    burns: Vec<BurnedRow>,
    settled: Vec<Key>,
    challenges: Vec<ChallengeId>,
    bytes: usize,
    /// Full blocks: their number, their leaves, and the calls that they allowed.
    tiles: Vec<(u64, Vec<u8>, Vec<u8>)>,
    nodes: Vec<(Subtree, Sha256Digest)>,
}

impl Group {
    fn on(log: &Log) -> Self {
        Self {
            log: log.clone(),
            spent: HashSet::new(),
            verdicts: Vec::new(),
            rows: Vec::new(),
            openings: Vec::new(),
            burns: Vec::new(),
            settled: Vec::new(),
            challenges: Vec::new(),
            bytes: 0,
            tiles: Vec::new(),
            nodes: Vec::new(),
        }
    }

    async fn take(&mut self, tx: &mut Transaction<'_>, op: Op) -> Result<(), sqlx::Error> {
        let verdict = match op {
            Op::Record(entry) => self.append(entry),
            Op::Burn { burn, spent, replayed } => self.burn(&burn, spent, *replayed),
            Op::Call { decision, allowed } => self.call(decision, allowed),
            Op::Outcome { call, outcome } => {
                self.settled.push(*call.as_bytes());
                self.append(outcome)
            }
            Op::Open { row, entry } => {
                let opened = open_challenge(tx.inside().await?, &row).await?;
                self.challenge(opened, row.id, entry)
            }
            Op::Advance { version, row, entry } => {
                let advanced = advance_challenge(tx.inside().await?, version, &row).await?;
                self.challenge(advanced, row.id, entry)
            }
            Op::Succeed(succession) => {
                let opened = succeed(tx.inside().await?, &succession).await?;
                if opened {
                    self.challenges.push(succession.earlier.id);
                }
                self.challenge(opened, succession.row.id, succession.entry)
            }
            Op::Withdraw { row, entry } => {
                if withdrawals::insert(tx.inside().await?, &row).await? {
                    self.append(entry)
                } else {
                    Verdict::Conflict
                }
            }
            // As long as either has a full portion to prune it is asked for again.
            Op::Prune { now } => {
                let db = tx.inside().await?;
                Verdict::Pruned(prune(db, now).await?.max(seen_tokens::prune(db, now).await?))
            }
            Op::See(token) => Verdict::Seen(seen_tokens::see(tx.inside().await?, &token).await?),
            Op::Erase(which) => Verdict::Pruned(which.apply(tx.inside().await?).await?),
            Op::EraseOf { of, entry } => {
                of.apply(tx.inside().await?).await?;
                self.append(entry)
            }
            Op::Outbox { change, entry } => {
                change.apply(tx.inside().await?, self.log.edge.frontier.size()).await?;
                entry.map_or(Verdict::Noted, |entry| self.append(entry))
            }
            Op::Cosigned(row) => {
                row.write(tx.inside().await?).await?;
                Verdict::Noted
            }
            Op::Shipping { change, entry } => {
                change.apply(tx.inside().await?, self.log.edge.frontier.size()).await?;
                entry.map_or(Verdict::Noted, |entry| self.append(entry))
            }
            Op::Probe => Verdict::Probed,
        };
        self.verdicts.push(verdict);
        Ok(())
    }

    fn burn(&mut self, burn: &Burn, spent: Prepared, replayed: Prepared) -> Verdict {
        if keys_of(burn).any(|key| self.spent.contains(&key)) {
            self.append(replayed);
            return Verdict::Replayed;
        }
        let decision_seq = number(self.log.edge.frontier.size());
        for key in keys_of(burn) {
            // INVARIANT: of the two only the mandate's own key can be in doubt; outcomes name mandates.
            let in_doubt = burn.calls && key == *burn.jti.as_bytes();
            if self.spent.insert(key) {
                self.burns.push(BurnedRow { key, expires_at: burn.keep_until, decision_seq, in_doubt });
            }
        }
        self.append(spent)
    }

    /// The decision's id stands where a mandate's would, and goes as soon as the outcome is on record: nothing can be
    /// replayed with it.
    fn call(&mut self, decision: DecisionId, allowed: Prepared) -> Verdict {
        let key = *decision.as_bytes();
        if !self.spent.insert(key) {
            return Verdict::Conflict;
        }
        let decision_seq = number(self.log.edge.frontier.size());
        self.burns.push(BurnedRow { key, expires_at: allowed.columns.at, decision_seq, in_doubt: true });
        self.append(allowed)
    }

    fn challenge(&mut self, changed: bool, id: ChallengeId, entry: Prepared) -> Verdict {
        if !changed {
            return Verdict::Conflict;
        }
        self.challenges.push(id);
        self.append(entry)
    }

    fn append(&mut self, mut entry: Prepared) -> Verdict {
        let Edge { frontier, open_block } = &mut self.log.edge;
        let seq = frontier.size();
        open_block.push(entry.leaf);
        self.log.allowed.extend(entry.allowed.take());
        frontier.append_with(entry.leaf, |subtree, root| {
            if subtree.level.is_multiple_of(BLOCK_LEVEL) {
                self.nodes.push((subtree, root));
            }
        });
        if frontier.size().is_multiple_of(BLOCK) {
            let leaves = open_block.drain(..).flat_map(|leaf| *leaf.as_bytes()).collect();
            self.tiles.push((seq / BLOCK, leaves, block_of(&self.log.allowed)));
            self.log.allowed.clear();
        }
        self.bytes += entry.body.len();
        if let Some(openings) = entry.openings.take() {
            self.bytes += openings.body.len();
            self.openings.push((number(seq), openings));
        }
        self.rows.push((number(seq), entry));
        Verdict::Written
    }
}

/// A group of which all but the end is in the transaction.
struct Written {
    log: Log,
    checkpoint: Checkpoint,
    receipts: Vec<ReceiptDraft>,
    /// The last of its entries, which are inserted with the head.
    rows: Vec<(i64, Prepared)>,
    verdicts: Vec<Verdict>,
    challenges: Vec<ChallengeId>,
    bytes: usize,
}

impl Written {
    /// To be called when the transaction is durable: this is where receipts are made.
    fn committed(self) -> Committed {
        let first = self.log.edge.frontier.size() - self.receipts.len() as u64;
        let mut receipts = (first..).zip(self.receipts).map(|(seq, receipt)| receipt.durable_at(seq));
        let answer = |verdict| {
            Some(match verdict {
                Verdict::Written => Answer::Written(receipts.next()?),
                Verdict::Replayed => Answer::Replayed(receipts.next()?),
                Verdict::Conflict => Answer::Conflict,
                Verdict::Pruned(rows) => Answer::Pruned(rows),
                Verdict::Seen(before) => Answer::Seen(before),
                Verdict::Noted => Answer::Noted,
                Verdict::Probed => Answer::Probed,
            })
        };
        let answers = self.verdicts.into_iter().map_while(answer).collect();
        Committed {
            log: self.log,
            checkpoint: self.checkpoint,
            answers,
            challenges: self.challenges,
            bytes: self.bytes,
        }
    }
}

/// The keys that must not have been spent before.
fn spent_by(op: &Op) -> Vec<Key> {
    match op {
        Op::Burn { burn, .. } => keys_of(burn).collect(),
        Op::Call { decision, .. } => vec![*decision.as_bytes()],
        _ => Vec::new(),
    }
}

/// What a burn spends: both or nothing.
fn keys_of(burn: &Burn) -> impl Iterator<Item = Key> {
    std::iter::once(*burn.jti.as_bytes()).chain(burn.challenge.map(|id| *id.as_bytes()))
}
