//! Entries that an archive holds: taken out of the file, their leaves kept.

use std::collections::BTreeMap;
use std::path::Path;

use rusqlite::{Connection, Error, params};
use sqlx::Row as _;

use super::op::{Op, Prepared};
use super::openings::overwriting;
use super::reader::{SqliteReader, failed, unsigned};
use super::rows::{millis, number};
use super::shipping::ShippingChange;
use super::sqlite::SqliteStore;
use crate::domain::ledger::{Entry, EventType, Receipt};
use crate::domain::time::Timestamp;
use crate::service::auditor::{BLOCK, LogRow};
use crate::service::ports::StoreError;

/// Which entries of full blocks go.
#[derive(Debug, Clone)]
pub struct Forget {
    /// The blocks.
    pub blocks: Vec<u64>,
    /// Entries of mere access before this instant.
    pub access_before: Timestamp,
    /// All others before this instant.
    pub audit_before: Timestamp,
    /// What counts as mere access.
    pub access: Vec<EventType>,
    /// Where the archive is.
    pub place: String,
    /// When this happens.
    pub at: Timestamp,
}

/// The entries that go: of the kinds in the list `?3` those before `?4`, of the others those before `?5`. What a start
/// reads never goes: withdrawn grounds, which policies were in force, calls in doubt; nor does what says that entries went.
const OLD: &str = "seq >= ?1 AND seq < ?2 AND event_type NOT IN ('leg_withdrawn', 'policy_activated', 'ledger_archived') \
     AND at_ms < iif(event_type IN (SELECT value FROM json_each(?3)), ?4, ?5) \
     AND NOT EXISTS (SELECT 1 FROM burned WHERE in_doubt = 1 AND decision_seq = entry.seq)";

impl Forget {
    /// The kinds of mere access as a JSON array, which one parameter holds.
    fn access_kinds(&self) -> String {
        let names: Vec<&str> = self.access.iter().map(|kind| kind.as_str()).collect();
        serde_json::Value::from(names).to_string()
    }

    /// Deletes the rows and their openings, overwriting them in the file, and marks the blocks that lack any.
    pub(super) fn apply(self, db: &Connection) -> Result<(), Error> {
        let access = self.access_kinds();
        overwriting(db, || self.blocks.iter().try_for_each(|block| self.take_out(db, *block, &access)))
    }

    fn take_out(&self, db: &Connection, block: u64, access: &str) -> Result<(), Error> {
        let (first, end) = (number(block * BLOCK), number((block + 1) * BLOCK));
        // Only constants of ours are written into the text; values are bound.
        for statement in [
            format!("DELETE FROM opening WHERE seq IN (SELECT seq FROM entry WHERE {OLD})"),
            format!("DELETE FROM notification_waiting WHERE seq IN (SELECT seq FROM entry WHERE {OLD})"),
            format!("DELETE FROM notification_dead WHERE seq IN (SELECT seq FROM entry WHERE {OLD})"),
            format!("DELETE FROM entry WHERE {OLD}"),
        ] {
            let (access_before, audit_before) = (millis(self.access_before), millis(self.audit_before));
            db.prepare_cached(&statement)?.execute(params![first, end, access, access_before, audit_before])?;
        }
        db.prepare_cached("DELETE FROM allowed_block WHERE idx = ?")?.execute([number(block)])?;
        db.prepare_cached(
            "INSERT INTO archived_block (idx, at_ms, place) SELECT ?1, ?2, ?3 \
             WHERE (SELECT count(*) FROM entry WHERE seq >= ?4 AND seq < ?5) < 256 ON CONFLICT DO NOTHING",
        )?
        .execute(params![number(block), millis(self.at), self.place, first, end])?;
        Ok(())
    }
}

impl SqliteStore {
    /// Takes entries out that an archive was found to hold, and appends `entry`, which says so; both or neither.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub async fn forget(&self, forget: Forget, entry: Entry) -> Result<Receipt, StoreError> {
        let entry = Some(Prepared::of(entry)?);
        self.append(Op::Shipping { change: ShippingChange::Forget(forget), entry }).await
    }
}

impl SqliteReader {
    /// The sink that is least far, with its place.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn slowest_sink(&self) -> Result<Option<(String, u64)>, StoreError> {
        let row = sqlx::query("SELECT sink, next_seq FROM sink_place ORDER BY next_seq LIMIT 1")
            .fetch_optional(&self.pool)
            .await
            .map_err(failed)?;
        row.map(|row| Ok((row.try_get(0).map_err(failed)?, unsigned(&row, 1)?))).transpose()
    }

    /// The blocks below the entry `end` that hold any entry that goes by `forget`'s limits.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn old_blocks(&self, forget: &Forget, end: u64) -> Result<Vec<u64>, StoreError> {
        let text = format!("SELECT DISTINCT seq / 256 FROM entry WHERE {OLD} ORDER BY 1");
        let rows = sqlx::query(sqlx::AssertSqlSafe(text))
            .bind(0_i64)
            .bind(number(end))
            .bind(forget.access_kinds())
            .bind(millis(forget.access_before))
            .bind(millis(forget.audit_before))
            .fetch_all(&self.pool)
            .await
            .map_err(failed)?;
        rows.iter().map(|row| unsigned(row, 0)).collect()
    }

    /// How many entries the file holds.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn rows_held(&self) -> Result<u64, StoreError> {
        let row = sqlx::query("SELECT count(*) FROM entry").fetch_one(&self.pool).await.map_err(failed)?;
        unsigned(&row, 0)
    }

    /// Puts rows without bytes where entries of archived blocks were taken out; their leaves come from the tile.
    pub(super) async fn fill_archived(&self, from: u64, to: u64, rows: Vec<LogRow>) -> Result<Vec<LogRow>, StoreError> {
        if rows.len() as u64 == to - from {
            return Ok(rows);
        }
        let tiles = sqlx::query(
            "SELECT archived_block.idx, tile.leaves FROM archived_block JOIN tile ON tile.idx = archived_block.idx \
             WHERE archived_block.idx >= ? AND archived_block.idx <= ?",
        )
        .bind(number(from / BLOCK))
        .bind(number(to / BLOCK))
        .fetch_all(&self.pool)
        .await
        .map_err(failed)?;
        let mut filled: BTreeMap<u64, LogRow> = BTreeMap::new();
        for tile in &tiles {
            let (first, leaves) = (unsigned(tile, 0)? * BLOCK, tile.try_get::<&[u8], _>(1).map_err(failed)?);
            for (seq, leaf) in (first..).zip(leaves.as_chunks::<32>().0).filter(|(seq, _)| (from..to).contains(seq)) {
                filled.insert(seq, LogRow { seq, body: Vec::new(), leaf: leaf.to_vec(), columns: None });
            }
        }
        filled.extend(rows.into_iter().map(|row| (row.seq, row)));
        Ok(filled.into_values().collect())
    }

    /// A consistent copy of the file, also of one that is being written; erased content is not in it.
    ///
    /// # Errors
    /// When it cannot be read, or there is something at `path`.
    pub async fn copy_to(&self, path: &Path) -> Result<(), StoreError> {
        let path = path.to_str().ok_or_else(|| failed("the path is not UTF-8"))?.to_owned();
        sqlx::query("VACUUM INTO ?").bind(path.clone()).execute(&self.pool).await.map_err(failed)?;
        std::fs::File::open(&path).and_then(|file| file.sync_all()).map_err(failed)
    }
}
