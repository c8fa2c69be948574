//! The openings of recorded inputs: written with their entry, read for a replay, erased without touching the tree.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{Connection, Error, params};
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;
use uuid::Uuid;

use super::cases::NAMING;
use super::op::{Answer, Op, Prepared};
use super::places::listed;
use super::reader::{SqliteReader, failed, unsigned};
use super::rows::{millis, number};
use super::sqlite::unexpected;
use super::{SqliteStore, rows::PRUNE_ROWS};
use crate::domain::id::DecisionId;
use crate::domain::ledger::{Entry, Openings, Receipt, Salt};
use crate::domain::time::Timestamp;
use crate::service::ports::StoreError;

/// The openings of one entry as a row.
#[derive(Debug)]
pub(super) struct OpeningRow {
    pub(super) at: Timestamp,
    pub(super) salt: Vec<u8>,
    pub(super) body: Vec<u8>,
}

impl OpeningRow {
    pub(super) fn of(openings: &Openings, at: Timestamp) -> Self {
        Self { at, salt: openings.salt().as_bytes().to_vec(), body: openings.to_stored() }
    }
}

/// Which openings are erased.
#[derive(Debug, Clone, Copy)]
pub enum Erase {
    /// Those of one decision.
    Decision(DecisionId),
    /// Those of entries before this instant.
    Before(Timestamp),
}

/// Erases the openings of entries before `at`, of at most [`PRUNE_ROWS`] rows at a time; how many went. What was there is
/// overwritten in the file.
pub(super) fn erase_before(db: &Connection, at: Timestamp) -> Result<u64, Error> {
    // Only the oldest rows are looked at, so that a pass costs the same however many there are.
    let text = "DELETE FROM opening WHERE seq IN (SELECT seq FROM (SELECT seq, at_ms FROM opening ORDER BY seq LIMIT ?) \
                WHERE at_ms < ?)";
    overwriting(db, || db.prepare_cached(text)?.execute(params![PRUNE_ROWS, millis(at)])).map(|rows| rows as u64)
}

/// Runs `delete` so that what it deletes is overwritten in the file.
pub(super) fn overwriting<T>(db: &Connection, delete: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    db.execute_batch("PRAGMA secure_delete = ON")?;
    let deleted = delete();
    db.execute_batch("PRAGMA secure_delete = OFF")?;
    deleted
}

/// Openings of these entries.
#[derive(Debug)]
pub(super) struct EraseOf(Vec<u64>);

impl EraseOf {
    /// Erases the rows, overwriting them in the file; how many went.
    pub(super) fn apply(self, db: &Connection) -> Result<u64, Error> {
        let text = "DELETE FROM opening WHERE seq IN (SELECT value FROM json_each(?))";
        overwriting(db, || db.prepare_cached(text)?.execute([listed(&self.0)])).map(|rows| rows as u64)
    }
}

impl SqliteStore {
    /// Erases the openings of these entries and appends `entry`, which says so; both or neither.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub async fn erase_on_record(&self, seqs: Vec<u64>, entry: Entry) -> Result<Receipt, StoreError> {
        self.append(Op::EraseOf { of: EraseOf(seqs), entry: Prepared::of(entry)? }).await
    }

    /// Erases openings; how many rows went. The entries stay and verify; their commitments cannot be opened any more.
    /// One transaction a few thousand rows, durable when it answers.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub async fn erase_openings(&self, which: Erase) -> Result<u64, StoreError> {
        let at = match which {
            Erase::Decision(id) => {
                let of = self.reader().opened_by_id(*id.as_bytes()).await?;
                return self.erased(Op::Erase(EraseOf(of))).await;
            }
            Erase::Before(at) => at,
        };
        let mut erased = 0;
        loop {
            // A pass may find fewer: where the clock was set back, younger rows lie among the oldest.
            match self.erased(Op::EraseBefore(at)).await? {
                0 => return Ok(erased),
                rows => erased += rows,
            }
        }
    }

    async fn erased(&self, op: Op) -> Result<u64, StoreError> {
        match self.ask(op).await? {
            Answer::Pruned(rows) => Ok(rows),
            other => Err(unexpected(&other)),
        }
    }
}

/// An entry that the policy decided, with what opens its input.
#[derive(Debug)]
pub struct RecordedDecision {
    /// The entry's number.
    pub seq: u64,
    /// The entry's bytes.
    pub body: Vec<u8>,
    /// None if it has none, or they were erased.
    pub openings: Option<Openings>,
}

impl SqliteReader {
    /// What opens commitments of the entries `first..=last`, as far as it was not erased.
    pub(super) async fn openings(&self, first: u64, last: u64) -> Result<BTreeMap<u64, Openings>, StoreError> {
        let rows = sqlx::query("SELECT seq, salt, body FROM opening WHERE seq >= ? AND seq <= ?")
            .bind(number(first))
            .bind(number(last))
            .fetch_all(&self.pool)
            .await
            .map_err(failed)?;
        let opened = |row: &SqliteRow| {
            let (seq, salt, values): (u64, &[u8], &[u8]) =
                (unsigned(row, 0)?, row.try_get(1).map_err(failed)?, row.try_get(2).map_err(failed)?);
            let salt = salt.try_into().map(Salt::from_bytes).map_err(failed)?;
            Ok(Openings::from_stored(salt, values).map(|openings| (seq, openings)))
        };
        rows.iter().filter_map(|row| opened(row).transpose()).collect()
    }

    /// The entries with openings that name this id as mandate, challenge or decision.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn opened_by_id(&self, id: [u8; 16]) -> Result<Vec<u64>, StoreError> {
        let query = format!("SELECT seq FROM opening WHERE seq IN ({NAMING}) ORDER BY seq");
        let places = self.may_name(&[id]).await?;
        let query = sqlx::query(sqlx::AssertSqlSafe(query)).bind(id.to_vec()).bind(places);
        let rows = query.fetch_all(&self.pool).await.map_err(failed)?;
        rows.iter().map(|row| unsigned(row, 0)).collect()
    }

    /// The entries with openings that hold this text, and those of the same mandates, challenges and decisions. Reads the
    /// whole record.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn opened_by_text(&self, text: &str) -> Result<Vec<u64>, StoreError> {
        let said = "SELECT seq, jti, challenge_id, decision_id FROM entry WHERE instr(body, ?) > 0";
        let said = sqlx::query(said).bind(text.as_bytes().to_vec()).fetch_all(&self.pool).await.map_err(failed)?;
        let (mut seqs, mut ids) = (Vec::new(), BTreeSet::new());
        for row in &said {
            seqs.push(unsigned(row, 0)?);
            for column in 1..=3 {
                let id: Option<&[u8]> = row.try_get(column).map_err(failed)?;
                ids.extend(id.and_then(|id| <[u8; 16]>::try_from(id).ok()));
            }
        }
        let ids: Vec<_> = ids.into_iter().collect();
        let named: Vec<_> = ids.iter().map(|id| format!("{:X}", Uuid::from_bytes(*id).simple())).collect();
        let query = "WITH named AS MATERIALIZED (SELECT value AS id FROM json_each(?3)) \
                     SELECT seq FROM opening WHERE seq IN (SELECT value FROM json_each(?1) \
                     UNION SELECT seq FROM entry WHERE seq IN (SELECT value FROM json_each(?2)) \
                     AND (hex(jti) IN (SELECT id FROM named) OR hex(decision_id) IN (SELECT id FROM named)) \
                     UNION SELECT seq FROM entry WHERE challenge_id IN (SELECT unhex(id) FROM named)) ORDER BY seq";
        let places = self.may_name(&ids).await?;
        let query =
            sqlx::query(query).bind(listed(&seqs)).bind(places).bind(serde_json::Value::from(named).to_string());
        let rows = query.fetch_all(&self.pool).await.map_err(failed)?;
        rows.iter().map(|row| unsigned(row, 0)).collect()
    }

    /// The entries from `from` on that may hold a verdict of the policy, oldest first, at most `limit`.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn recorded_decisions(&self, from: u64, limit: u32) -> Result<Vec<RecordedDecision>, StoreError> {
        let rows = sqlx::query(
            "SELECT entry.seq, entry.body, opening.salt, opening.body FROM entry \
             LEFT JOIN opening ON opening.seq = entry.seq WHERE entry.seq >= ? AND entry.event_type IN \
             ('broker_decision', 'poa_denied', 'poa_issued', 'poa_issued_dual_control', 'poa_challenge_created', \
             'poa_approval_recorded', 'poa_approval_refused') ORDER BY entry.seq LIMIT ?",
        )
        .bind(number(from))
        .bind(limit)
        .fetch_all(&self.pool)
        .await
        .map_err(failed)?;
        rows.iter().map(recorded).collect()
    }
}

pub(super) fn recorded(row: &SqliteRow) -> Result<RecordedDecision, StoreError> {
    let salt: Option<&[u8]> = row.try_get(2).map_err(failed)?;
    let values: Option<&[u8]> = row.try_get(3).map_err(failed)?;
    let salt = salt.and_then(|salt| salt.try_into().ok()).map(Salt::from_bytes);
    let openings = salt.zip(values).and_then(|(salt, values)| Openings::from_stored(salt, values));
    Ok(RecordedDecision { seq: unsigned(row, 0)?, body: row.try_get(1).map_err(failed)?, openings })
}
