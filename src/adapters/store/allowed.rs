//! What was allowed lately, for the counters of a broker that starts: one aggregate over a partial index, which holds the
//! allowed calls, all that is asked of them, and no other entry. No row of the record is read.

use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

use super::reader::{SqliteReader, failed, unsigned};
use super::rows::millis;
use crate::domain::time::Timestamp;
use crate::service::ports::{AllowedCalls, StoreError};

/// How long the time of a call is given to the second.
const BY_SECOND: std::time::Duration = std::time::Duration::from_secs(3600);

/// The condition is that of the index `entry_allowed_call`, word for word, so that only the index is read.
const QUERY: &str = "SELECT agent, act, workspace, \
    CASE WHEN at_ms >= ?2 THEN at_ms / 1000 ELSE at_ms / 900000 * 900 + 899 END AS second, count(*) \
    FROM entry WHERE event_type = 'broker_decision' AND reason = 'ok' \
    AND instr(body, CAST('\"peek\":\"true\"' AS BLOB)) = 0 AND at_ms >= ?1 \
    GROUP BY agent, act, workspace, second ORDER BY second";

impl SqliteReader {
    /// As [`Ledger::allowed_calls`](crate::service::ports::Ledger::allowed_calls).
    pub(super) async fn allowed_calls(
        &self,
        since: Timestamp,
        now: Timestamp,
    ) -> Result<Vec<AllowedCalls>, StoreError> {
        let query = sqlx::query(QUERY).bind(millis(since)).bind(millis(now.minus(BY_SECOND)));
        query.fetch_all(&self.pool).await.map_err(failed)?.iter().map(allowed).collect()
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ed25519_dalek::SigningKey;

    use super::*;
    use crate::adapters::clock::SystemClock;
    use crate::adapters::store::{OpenMode, SqliteStore};
    use crate::domain::ledger::LogKey;

    /// Else a start would read the bodies of a day: 40 seconds for a million calls.
    #[tokio::test]
    async fn a_start_reads_the_allowed_calls_of_a_day_from_the_index_alone() {
        let folder = tempfile::tempdir().unwrap();
        let key = LogKey::new(SigningKey::from_bytes(&[7; 32]));
        let (path, origin) = (folder.path().join("ledger.db"), "atb.test/plan".parse().unwrap());
        let store = SqliteStore::open(&path, OpenMode::Create, key, origin, Arc::new(SystemClock)).await.unwrap();
        let explain = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {QUERY}"));
        let plan = sqlx::query(explain).bind(1).bind(2).fetch_all(&store.reader().pool).await.unwrap();
        let steps: Vec<String> = plan.iter().map(|row| row.get("detail")).collect();
        let reads =
            steps.iter().any(|step| step.starts_with("SEARCH entry USING COVERING INDEX entry_allowed_call (at_ms>?)"));
        assert!(reads, "{steps:#?}");
        store.close().await.unwrap();
    }
}
