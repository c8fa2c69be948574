//! Entries that an archive holds: taken out of the file, their leaves kept.

use sqlx::Row as _;
use sqlx::sqlite::SqliteConnection;

use super::op::{Op, Prepared};
use super::reader::{SqliteReader, failed, unsigned};
use super::rows::{millis, number};
use super::shipping::ShippingChange;
use super::sqlite::SqliteStore;
use crate::domain::ledger::{Entry, EventType, Receipt};
use crate::domain::time::Timestamp;
use crate::service::auditor::BLOCK;
use crate::service::ports::StoreError;

/// Which entries of a range of full blocks go.
#[derive(Debug, Clone)]
pub struct Forget {
    /// The first block.
    pub from: u64,
    /// The block behind the last.
    pub to: u64,
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

/// What is never taken out, because a start reads it: withdrawn grounds, and which policies were in force.
const KEPT: &str = "event_type NOT IN ('leg_withdrawn', 'policy_activated')";

impl Forget {
    /// Deletes the rows and their openings, overwriting them in the file, and marks the blocks that lack any.
    pub(super) async fn apply(self, tx: &mut SqliteConnection) -> Result<(), sqlx::Error> {
        let names: Vec<&str> = self.access.iter().map(|kind| kind.as_str()).collect();
        let access = serde_json::Value::from(names).to_string();
        sqlx::query("PRAGMA secure_delete = ON").execute(&mut *tx).await?;
        for block in self.from..self.to {
            let (first, end) = (number(block * BLOCK), number((block + 1) * BLOCK));
            let old = format!(
                "seq >= ?1 AND seq < ?2 AND {KEPT} AND at_ms < iif(event_type IN (SELECT value FROM json_each(?3)), ?4, ?5) \
                 AND NOT EXISTS (SELECT 1 FROM burned WHERE in_doubt = 1 AND decision_seq = entry.seq)"
            );
            for statement in [
                format!("DELETE FROM opening WHERE seq IN (SELECT seq FROM entry WHERE {old})"),
                format!("DELETE FROM notification_waiting WHERE seq IN (SELECT seq FROM entry WHERE {old})"),
                format!("DELETE FROM notification_dead WHERE seq IN (SELECT seq FROM entry WHERE {old})"),
                format!("DELETE FROM entry WHERE {old}"),
            ] {
                // Only constants of ours are written into the text; values are bound.
                let done = sqlx::query(sqlx::AssertSqlSafe(statement))
                    .bind(first)
                    .bind(end)
                    .bind(access.clone())
                    .bind(millis(self.access_before))
                    .bind(millis(self.audit_before));
                done.execute(&mut *tx).await?;
            }
            sqlx::query(
                "INSERT INTO archived_block (idx, at_ms, place) SELECT ?1, ?2, ?3 \
                 WHERE (SELECT count(*) FROM entry WHERE seq >= ?4 AND seq < ?5) < 256 ON CONFLICT DO NOTHING",
            )
            .bind(number(block))
            .bind(millis(self.at))
            .bind(self.place.clone())
            .bind(first)
            .bind(end)
            .execute(&mut *tx)
            .await?;
        }
        sqlx::query("PRAGMA secure_delete = OFF").execute(&mut *tx).await?;
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

    /// Whether entries of the block `index` were taken out.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn is_archived(&self, index: u64) -> Result<bool, StoreError> {
        let found = sqlx::query("SELECT 1 FROM archived_block WHERE idx = ?")
            .bind(number(index))
            .fetch_optional(&self.pool)
            .await
            .map_err(failed)?;
        Ok(found.is_some())
    }
}
