//! What a challenge's life needs of the file beyond one row: those that are overdue, and one that succeeds another.

use sqlx::sqlite::SqliteConnection;

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
pub(super) async fn succeed(tx: &mut SqliteConnection, succession: &Succession) -> Result<bool, sqlx::Error> {
    let Succession { version, earlier, row, .. } = succession;
    let unchanged = sqlx::query("SELECT 1 FROM challenge WHERE id = ? AND version = ?")
        .bind(earlier.id.as_bytes().to_vec())
        .bind(number(*version))
        .fetch_optional(&mut *tx)
        .await?;
    if unchanged.is_none() || !open_challenge(&mut *tx, row).await? {
        return Ok(false);
    }
    // INVARIANT: this connection is the only one that writes, so the version that was there a statement ago still is.
    if advance_challenge(tx, *version, earlier).await? { Ok(true) } else { Err(sqlx::Error::RowNotFound) }
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
