//! What the record says of the policy: read at a start, so that no older bundle comes back.

use sqlx::Row as _;

use super::reader::{SqliteReader, failed};
use crate::domain::ledger::Entry;
use crate::service::ports::StoreError;

impl SqliteReader {
    /// The newest `policy_activated`, of the bundle in force or of a candidate.
    ///
    /// # Errors
    /// When the file cannot be read or the entry is not one.
    pub async fn last_activation(&self) -> Result<Option<Entry>, StoreError> {
        let query = "SELECT body FROM entry WHERE event_type = 'policy_activated' ORDER BY seq DESC LIMIT 1";
        let row = sqlx::query(query).fetch_optional(&self.pool).await.map_err(failed)?;
        let entry =
            |row: &sqlx::sqlite::SqliteRow| serde_json::from_slice(row.try_get(0).map_err(failed)?).map_err(failed);
        row.as_ref().map(entry).transpose()
    }
}
