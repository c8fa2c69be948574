//! What was allowed lately, for the counters of a broker that starts: one aggregate along a partial index.

use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

use super::reader::{SqliteReader, failed, unsigned};
use super::rows::millis;
use crate::domain::time::Timestamp;
use crate::service::ports::{AllowedCalls, StoreError};

/// How long the time of a call is given to the second.
const BY_SECOND: std::time::Duration = std::time::Duration::from_secs(3600);

impl SqliteReader {
    /// As [`Ledger::allowed_calls`](crate::service::ports::Ledger::allowed_calls). The condition is that of the index
    /// `entry_allowed_call`, word for word, so that no entry is read.
    pub(super) async fn allowed_calls(
        &self,
        since: Timestamp,
        now: Timestamp,
    ) -> Result<Vec<AllowedCalls>, StoreError> {
        let rows = sqlx::query(
            "SELECT agent, act, workspace, \
             CASE WHEN at_ms >= ?2 THEN at_ms / 1000 ELSE at_ms / 60000 * 60 + 59 END AS second, count(*) \
             FROM entry WHERE event_type = 'broker_decision' AND reason = 'ok' \
             AND instr(body, CAST('\"peek\":\"true\"' AS BLOB)) = 0 AND at_ms >= ?1 \
             GROUP BY agent, act, workspace, second ORDER BY second",
        )
        .bind(millis(since))
        .bind(millis(now.minus(BY_SECOND)))
        .fetch_all(&self.pool)
        .await
        .map_err(failed)?;
        rows.iter().map(allowed).collect()
    }
}

fn allowed(row: &SqliteRow) -> Result<AllowedCalls, StoreError> {
    let text = |column: usize| row.try_get::<&str, _>(column).map_err(failed);
    Ok(AllowedCalls {
        agent: text(0)?.parse().map_err(failed)?,
        act: text(1)?.parse().map_err(failed)?,
        workspace: text(2)?.parse().map_err(failed)?,
        at: unsigned(row, 3)?,
        calls: u32::try_from(unsigned(row, 4)?).unwrap_or(u32::MAX),
    })
}
