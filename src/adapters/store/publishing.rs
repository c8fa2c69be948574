//! The log for those outside: tiles, and the cosignatures that witnesses answered.

use async_trait::async_trait;
use rusqlite::{Connection, Error, params};
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

use super::op::{Answer, Op};
use super::reader::{SqliteReader, failed, unsigned};
use super::rows::{millis, number};
use super::sqlite::{SqliteStore, unexpected};
use crate::domain::id::Sha256Digest;
use crate::domain::ledger::{Checkpoint, Cosignature, LogVerifier, Origin};
use crate::domain::time::Timestamp;
use crate::service::auditor::BLOCK_LEVEL;
use crate::service::ports::{PublishedLog, StoreError};
use crate::service::transparency::LogTiles;

/// A cosignature on its way into the database.
#[derive(Debug)]
pub(super) struct CosignatureRow {
    size: u64,
    note: String,
    witness: String,
    at: Timestamp,
    line: String,
}

impl CosignatureRow {
    fn of(checkpoint: &Checkpoint, cosignature: &Cosignature) -> Self {
        Self {
            size: checkpoint.size(),
            note: checkpoint.note().to_owned(),
            witness: cosignature.witness.to_string(),
            at: cosignature.at,
            line: cosignature.line.clone(),
        }
    }

    /// INVARIANT: does not fail on what is already there, which would take the decisions of its whole group with it.
    pub(super) fn write(&self, db: &Connection) -> Result<(), Error> {
        let (size, at) = (number(self.size), millis(self.at));
        db.prepare_cached(
            "INSERT INTO published_checkpoint (size, at_ms, note) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
        )?
        .execute(params![size, at, self.note])?;
        db.prepare_cached("INSERT OR REPLACE INTO cosignature (witness, size, at_ms, line) VALUES (?, ?, ?, ?)")?
            .execute(params![self.witness, size, at, self.line])?;
        Ok(())
    }
}

impl SqliteReader {
    /// The newest checkpoint that a witness cosigned, with its cosignatures; `None` too where the note in the database
    /// is not one of `verifier`'s log.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn cosigned(&self, verifier: &LogVerifier) -> Result<Option<Checkpoint>, StoreError> {
        let rows = sqlx::query(
            "SELECT p.note, c.line FROM cosignature c JOIN published_checkpoint p ON p.size = c.size \
             WHERE c.size = (SELECT max(size) FROM cosignature) ORDER BY c.witness",
        )
        .fetch_all(&self.pool)
        .await
        .map_err(failed)?;
        let Some(first) = rows.first() else { return Ok(None) };
        let note: &str = first.try_get(0).map_err(failed)?;
        let lines = rows.iter().map(|row| row.try_get::<&str, _>(1)).collect::<Result<Vec<_>, _>>().map_err(failed)?;
        Ok(verifier.verify(note).ok().map(|checkpoint| checkpoint.with_lines(lines)))
    }

    /// The size of the newest checkpoint that `witness` cosigned, 0 before the first.
    pub(super) async fn witnessed(&self, witness: &str) -> Result<u64, StoreError> {
        let row = sqlx::query("SELECT coalesce(max(size), 0) FROM cosignature WHERE witness = ?")
            .bind(witness.to_owned())
            .fetch_one(&self.pool)
            .await
            .map_err(failed)?;
        unsigned(&row, 0)
    }

    pub(super) async fn hashes(&self, level: u8, first: u64, count: u16) -> Result<Vec<[u8; 32]>, StoreError> {
        let query = if level == 0 {
            sqlx::query("SELECT leaf FROM entry WHERE seq >= ? AND seq < ? ORDER BY seq")
        } else {
            sqlx::query("SELECT hash FROM node WHERE idx >= ? AND idx < ? AND level = ? ORDER BY idx")
        };
        let query = query.bind(number(first)).bind(number(first.saturating_add(count.into())));
        let query = if level == 0 { query } else { query.bind(i64::from(level) * i64::from(BLOCK_LEVEL)) };
        let rows = query.fetch_all(&self.pool).await.map_err(failed)?;
        let hash = |row: &SqliteRow| row.try_get::<&[u8], _>(0).map_err(failed)?.try_into().map_err(failed);
        rows.iter().map(hash).collect()
    }

    pub(super) async fn bodies(&self, first: u64, count: u16) -> Result<Vec<Vec<u8>>, StoreError> {
        let rows = sqlx::query("SELECT body FROM entry WHERE seq >= ? AND seq < ? ORDER BY seq")
            .bind(number(first))
            .bind(number(first.saturating_add(count.into())))
            .fetch_all(&self.pool)
            .await
            .map_err(failed)?;
        rows.iter().map(|row| row.try_get(0).map_err(failed)).collect()
    }
}

#[async_trait]
impl PublishedLog for SqliteStore {
    async fn newest(&self) -> Result<Checkpoint, StoreError> {
        Ok(self.seen.checkpoint.borrow().clone())
    }

    async fn consistency(&self, old: u64, new: u64) -> Result<Vec<Sha256Digest>, StoreError> {
        self.reader.consistency_proof(old, new).await
    }

    async fn witnessed(&self, witness: &Origin) -> Result<u64, StoreError> {
        self.reader.witnessed(witness.as_str()).await
    }

    async fn keep_cosignature(&self, checkpoint: &Checkpoint, cosignature: &Cosignature) -> Result<(), StoreError> {
        match self.ask(Op::Cosigned(CosignatureRow::of(checkpoint, cosignature))).await? {
            Answer::Noted => Ok(()),
            other => Err(unexpected(&other)),
        }
    }

    async fn cosigned(&self) -> Result<Option<Checkpoint>, StoreError> {
        self.reader.cosigned(self.verifier()).await
    }
}

#[async_trait]
impl LogTiles for SqliteStore {
    async fn hashes(&self, level: u8, first: u64, count: u16) -> Result<Vec<[u8; 32]>, StoreError> {
        self.reader.hashes(level, first, count).await
    }

    async fn bodies(&self, first: u64, count: u16) -> Result<Vec<Vec<u8>>, StoreError> {
        self.reader.bodies(first, count).await
    }
}
