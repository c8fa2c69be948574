//! The log as the auditor reads it.

use async_trait::async_trait;
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;
use uuid::Uuid;

use super::reader::{SqliteReader, failed, unsigned};
use super::rows::number;
use crate::domain::id::Sha256Digest;
use crate::domain::ledger::Subtree;
use crate::domain::time::Timestamp;
use crate::service::auditor::{
    BLOCK_LEVEL, Columns, Counted, LogRow, LogSource, StoredBlock, StoredCheckpoint, StoredHead, StoredTags,
};
use crate::service::ports::StoreError;

#[async_trait]
impl LogSource for SqliteReader {
    async fn head(&self) -> Result<StoredHead, StoreError> {
        let row = sqlx::query("SELECT note, frontier, (SELECT coalesce(max(seq) + 1, 0) FROM entry) FROM head")
            .fetch_one(&self.pool)
            .await
            .map_err(failed)?;
        Ok(StoredHead {
            note: row.try_get(0).map_err(failed)?,
            frontier: row.try_get(1).map_err(failed)?,
            rows: unsigned(&row, 2)?,
        })
    }

    async fn rows(&self, from: u64, to: u64) -> Result<Vec<LogRow>, StoreError> {
        let rows = sqlx::query(
            "SELECT seq, body, leaf, event_type, at_ms, agent, act, reason, jti, challenge_id, decision_id, workspace \
             FROM entry WHERE seq >= ? AND seq < ? ORDER BY seq",
        )
        .bind(number(from))
        .bind(number(to))
        .fetch_all(&self.pool)
        .await
        .map_err(failed)?;
        let log_row = |row: &SqliteRow| {
            let body: Vec<u8> = row.try_get(1).map_err(failed)?;
            Ok(LogRow {
                seq: unsigned(row, 0)?,
                // No bytes at all say that an archive has them, which a row that is here must not say.
                body: if body.is_empty() { vec![0] } else { body },
                leaf: row.try_get(2).map_err(failed)?,
                columns: columns(row),
            })
        };
        let rows = rows.iter().map(log_row).collect::<Result<_, StoreError>>()?;
        self.fill_archived(from, to.max(from), rows).await
    }

    async fn block(&self, index: u64) -> Result<StoredBlock, StoreError> {
        let row = sqlx::query(
            "SELECT (SELECT leaves FROM tile WHERE idx = ?1), (SELECT hash FROM node WHERE level = ?2 AND idx = ?1), \
             (SELECT calls FROM allowed_block WHERE idx = ?1), (SELECT tags FROM agent_tags WHERE idx = ?1), \
             (SELECT tags FROM jti_tags WHERE idx = ?1), (SELECT tags FROM decision_tags WHERE idx = ?1)",
        )
        .bind(number(index))
        .bind(BLOCK_LEVEL)
        .fetch_one(&self.pool)
        .await
        .map_err(failed)?;
        let part = |column| row.try_get::<Option<Vec<u8>>, _>(column).map_err(failed);
        let counted = Counted::from_stored(row.try_get(2).map_err(failed)?);
        let tags = StoredTags { agents: part(3)?, jtis: part(4)?, decisions: part(5)? };
        Ok(StoredBlock { leaves: part(0)?.unwrap_or_default(), root: part(1)?.unwrap_or_default(), counted, tags })
    }

    async fn history(&self, from: u64, limit: u32) -> Result<Vec<StoredCheckpoint>, StoreError> {
        let rows =
            sqlx::query("SELECT size, at_ms, frontier, note FROM checkpoint WHERE size >= ? ORDER BY size LIMIT ?")
                .bind(number(from))
                .bind(limit)
                .fetch_all(&self.pool)
                .await
                .map_err(failed)?;
        rows.iter().map(checkpoint).collect()
    }

    async fn subtree(&self, subtree: Subtree) -> Result<Option<Sha256Digest>, StoreError> {
        self.kept_subtree(subtree).await
    }

    async fn last_history(&self, size: u64) -> Result<Option<StoredCheckpoint>, StoreError> {
        let row = sqlx::query(
            "SELECT size, at_ms, frontier, note FROM checkpoint WHERE size <= ? ORDER BY size DESC LIMIT 1",
        )
        .bind(number(size))
        .fetch_optional(&self.pool)
        .await
        .map_err(failed)?;
        row.as_ref().map(checkpoint).transpose()
    }
}

fn checkpoint(row: &SqliteRow) -> Result<StoredCheckpoint, StoreError> {
    Ok(StoredCheckpoint {
        size: unsigned(row, 0)?,
        at: Timestamp::from_millis(unsigned(row, 1)?),
        frontier: row.try_get(2).map_err(failed)?,
        note: row.try_get(3).map_err(failed)?,
    })
}

/// `None` when a column holds what the writer never puts there.
fn columns(row: &SqliteRow) -> Option<Columns> {
    Some(Columns {
        event_type: row.try_get(3).ok()?,
        at: Timestamp::from_millis(unsigned(row, 4).ok()?),
        agent: row.try_get(5).ok()?,
        act: row.try_get(6).ok()?,
        reason: row.try_get(7).ok()?,
        jti: id(row, 8)?,
        challenge_id: id(row, 9)?,
        decision_id: id(row, 10)?,
        workspace: row.try_get::<String, _>(11).ok()?.parse().ok()?,
    })
}

/// The outer `None` is a value that is no id.
fn id<T: std::str::FromStr>(row: &SqliteRow, column: usize) -> Option<Option<T>> {
    let bytes: Option<&[u8]> = row.try_get(column).ok()?;
    let Some(bytes) = bytes else { return Some(None) };
    Uuid::from_slice(bytes).ok()?.to_string().parse().ok().map(Some)
}
