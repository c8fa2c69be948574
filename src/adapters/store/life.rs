//! What a challenge's life needs of the file beyond one row: those that are overdue, and one that succeeds another.

use rusqlite::{Connection, Error, params};

use super::op::Prepared;
use super::reader::{SqliteReader, failed, stored_challenge};
use super::rows::{ChallengeRow, advance_challenge, millis, number, open_challenge};
use crate::domain::approval::Challenge;
use crate::domain::time::Timestamp;
use crate::service::ports::{StoreError, Stored};

/// A challenge that asks again, and the one that it succeeds.
#[derive(Debug)]
pub(super) struct Succession {
    /// The version of the earlier challenge that was read.
    pub(super) version: u64,
    /// The earlier challenge, naming its successor.
    pub(super) earlier: ChallengeRow,
    /// The successor.
    pub(super) row: ChallengeRow,
    pub(super) entry: Prepared,
}

/// Both rows, or neither: whether they were written. An error leaves nothing, because its transaction is rolled back.
pub(super) fn succeed(db: &Connection, succession: &Succession) -> Result<bool, Error> {
    let Succession { version, earlier, row, .. } = succession;
    let unchanged = db
        .prepare_cached("SELECT 1 FROM challenge WHERE id = ? AND version = ?")?
        .exists(params![earlier.id.as_bytes(), number(*version)])?;
    if !unchanged || !open_challenge(db, row)? {
        return Ok(false);
    }
    // INVARIANT: this connection is the only one that writes, so the version that was there a statement ago still is.
    if advance_challenge(db, *version, earlier)? { Ok(true) } else { Err(Error::QueryReturnedNoRows) }
}

impl SqliteReader {
    /// As [`Challenges::overdue`](crate::service::ports::Challenges::overdue). The states stand in the text, not as
    /// parameters, so that the partial index answers.
    pub(super) async fn overdue(&self, now: Timestamp, limit: u32) -> Result<Vec<Stored<Challenge>>, StoreError> {
        let rows = sqlx::query(
            "SELECT version, body FROM challenge WHERE state IN ('pending', 'approved') AND expires_at <= ? \
             ORDER BY expires_at LIMIT ?",
        )
        .bind(millis(now))
        .bind(limit)
        .fetch_all(&self.pool)
        .await
        .map_err(failed)?;
        rows.iter().map(stored_challenge).collect()
    }
}
