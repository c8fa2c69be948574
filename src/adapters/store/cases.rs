//! Single entries and what belongs to them, for proofs and cases.

use sqlx::sqlite::SqliteRow;

use super::openings::{RecordedDecision, recorded};
use super::reader::{SqliteReader, failed};
use super::rows::{millis, number};
use crate::domain::id::EventId;
use crate::domain::ledger::Entry;
use crate::service::ports::StoreError;

const COLUMNS: &str = "SELECT entry.seq, entry.body, opening.salt, opening.body FROM entry \
                       LEFT JOIN opening ON opening.seq = entry.seq WHERE ";

/// The entries that name the id `?1`, of which those that name it as mandate or decision are in the list `?2`.
pub(super) const NAMING: &str = "SELECT seq FROM entry WHERE seq IN (SELECT value FROM json_each(?2)) \
                                 AND (jti = ?1 OR decision_id = ?1) \
                                 UNION SELECT seq FROM entry WHERE challenge_id = ?1";

impl SqliteReader {
    /// The entry `seq` with its openings.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn entry_at(&self, seq: u64) -> Result<Option<RecordedDecision>, StoreError> {
        let query = format!("{COLUMNS} entry.seq = ?");
        let row = sqlx::query(sqlx::AssertSqlSafe(query)).bind(number(seq)).fetch_optional(&self.pool).await;
        row.map_err(failed)?.as_ref().map(recorded).transpose()
    }

    /// The entry of this id: among those of the millisecond that the id carries.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn entry_of(&self, id: EventId) -> Result<Option<RecordedDecision>, StoreError> {
        let query = format!("{COLUMNS} entry.at_ms = ? ORDER BY entry.seq");
        let query = sqlx::query(sqlx::AssertSqlSafe(query)).bind(millis(id.created_at()));
        let rows = query.fetch_all(&self.pool).await.map_err(failed)?;
        let is_it = |found: &RecordedDecision| {
            serde_json::from_slice::<Entry>(&found.body).is_ok_and(|entry| entry.event_id == id)
        };
        let found: Vec<_> = rows.iter().map(recorded).collect::<Result<_, _>>()?;
        Ok(found.into_iter().find(is_it))
    }

    /// The entries that name this id as mandate, challenge or decision, oldest first, at most `limit`.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn entries_naming(&self, id: [u8; 16], limit: u32) -> Result<Vec<RecordedDecision>, StoreError> {
        let query = format!("{COLUMNS} entry.seq IN ({NAMING}) ORDER BY entry.seq LIMIT ?3");
        let places = self.may_name(&[id]).await?;
        let query = sqlx::query(sqlx::AssertSqlSafe(query)).bind(id.to_vec()).bind(places).bind(limit);
        let rows: Vec<SqliteRow> = query.fetch_all(&self.pool).await.map_err(failed)?;
        rows.iter().map(recorded).collect()
    }

    /// The last `service_started` before the entry `seq`.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn start_before(&self, seq: u64) -> Result<Option<RecordedDecision>, StoreError> {
        let query =
            format!("{COLUMNS} entry.seq < ? AND entry.event_type = 'service_started' ORDER BY entry.seq DESC LIMIT 1");
        let row = sqlx::query(sqlx::AssertSqlSafe(query)).bind(number(seq)).fetch_optional(&self.pool).await;
        row.map_err(failed)?.as_ref().map(recorded).transpose()
    }
}
