//! Reading the file, beside the writer or from another process, and without writing to it.

use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::{Sqlite, SqliteConnection, SqlitePool, SqlitePoolOptions, SqliteRow};
use sqlx::{Acquire as _, QueryBuilder, Row as _};

use super::rows::{millis, number};
use super::schema::{self, OpenError};
use crate::domain::approval::Challenge;
use crate::domain::id::{ChallengeId, DecisionId, Jti, Sha256Digest};
use crate::domain::json;
use crate::domain::ledger::{
    CallKey, Entry, LeafHash, Openings, ProofError, Subtree, consistency_proof, inclusion_proof,
};
use crate::domain::time::Timestamp;
use crate::service::auditor::{BLOCK_LEVEL, LogSource as _};
use crate::service::ports::{EntryFilter, StoreError, Stored};

/// Readers at once; more wait.
const CONNECTIONS: u32 = 4;

/// A ledger opened for reading.
#[derive(Debug, Clone)]
pub struct SqliteReader {
    pub(super) pool: SqlitePool,
}

impl SqliteReader {
    /// Opens the ledger at `path`, which a service may be writing at the same time.
    ///
    /// # Errors
    /// When there is none, it is something else, or its schema is not the one that this program knows.
    pub async fn open(path: &Path) -> Result<Self, OpenError> {
        if !path.is_file() {
            return Err(OpenError::Missing(path.to_owned()));
        }
        match Self::checked(path, false).await {
            // A copy on read-only storage cannot have the files that WAL needs beside it; without a `-wal` of its own
            // it is complete and nobody writes it.
            Err(OpenError::Unusable { .. }) if !schema::beside(path, "-wal").exists() => {
                Self::checked(path, true).await
            }
            other => other,
        }
    }

    async fn checked(path: &Path, immutable: bool) -> Result<Self, OpenError> {
        let reader = Self::lazy(path, immutable);
        let mut conn = reader.pool.acquire().await.map_err(|error| OpenError::unusable(path, error))?;
        let conn: &mut SqliteConnection = conn.acquire().await.map_err(|error| OpenError::unusable(path, error))?;
        schema::check_schema(path, conn).await?;
        Ok(reader)
    }

    /// Connections are made when they are needed.
    pub(super) fn lazy(path: &Path, immutable: bool) -> Self {
        let options = schema::reader_options(path).immutable(immutable);
        let pool = SqlitePoolOptions::new()
            .max_connections(CONNECTIONS)
            .acquire_timeout(Duration::from_secs(5))
            .test_before_acquire(false)
            .connect_lazy_with(options);
        Self { pool }
    }

    /// Waits for readers and closes the file.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    /// As [`Ledger::entries`](crate::service::ports::Ledger::entries).
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn entries(
        &self,
        from: u64,
        limit: u32,
        filter: &EntryFilter,
    ) -> Result<Vec<(u64, Vec<u8>)>, StoreError> {
        let Some(mut query) = entries_query(from, limit, filter) else { return Ok(Vec::new()) };
        let rows = query.build().fetch_all(&self.pool).await.map_err(failed)?;
        rows.iter().map(|row| Ok((unsigned(row, 0)?, row.try_get(1).map_err(failed)?))).collect()
    }

    pub(super) async fn calls_in_doubt(&self) -> Result<Vec<(CallKey, Entry)>, StoreError> {
        let rows = sqlx::query(
            "SELECT entry.body FROM burned JOIN entry ON entry.seq = burned.decision_seq \
             WHERE burned.in_doubt = 1 ORDER BY burned.decision_seq",
        )
        .fetch_all(&self.pool)
        .await
        .map_err(failed)?;
        let decision = |row: &SqliteRow| {
            let entry: Entry = parse(row.try_get(0).map_err(failed)?)?;
            let key = CallKey::of(&entry.subject).ok_or_else(|| failed("a decision in doubt has no id"))?;
            Ok((key, entry))
        };
        rows.iter().map(decision).collect()
    }

    /// How many challenges are pending, and when the oldest of them was opened.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn pending_challenges(&self) -> Result<(u64, Option<Timestamp>), StoreError> {
        let row = sqlx::query("SELECT count(*), min(created_at) FROM challenge WHERE state = 'pending'")
            .fetch_one(&self.pool)
            .await
            .map_err(failed)?;
        let oldest: Option<i64> = row.try_get(1).map_err(failed)?;
        Ok((unsigned(&row, 0)?, oldest.and_then(|at| u64::try_from(at).ok()).map(Timestamp::from_millis)))
    }

    /// As [`Challenges::find`](crate::service::ports::Challenges::find).
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn find(&self, id: ChallengeId) -> Result<Option<Stored<Challenge>>, StoreError> {
        let row = sqlx::query("SELECT version, body FROM challenge WHERE id = ?")
            .bind(id.as_bytes().to_vec())
            .fetch_optional(&self.pool)
            .await
            .map_err(failed)?;
        row.as_ref().map(stored_challenge).transpose()
    }

    /// The version alone, for those who wait for the next one.
    pub(super) async fn version(&self, id: ChallengeId) -> Result<Option<u64>, StoreError> {
        let row = sqlx::query("SELECT version FROM challenge WHERE id = ?")
            .bind(id.as_bytes().to_vec())
            .fetch_optional(&self.pool)
            .await
            .map_err(failed)?;
        row.as_ref().map(|row| unsigned(row, 0)).transpose()
    }

    /// The proof that the entry `seq` is in the log of `size` entries (RFC 6962 §2.1.1).
    ///
    /// # Errors
    /// When there is no such proof or the file cannot be read.
    pub async fn inclusion_proof(&self, seq: u64, size: u64) -> Result<Vec<Sha256Digest>, StoreError> {
        self.proof(|node| inclusion_proof(seq, size, node)).await
    }

    /// The proof that the log of `old` entries is a prefix of the log of `new` entries (RFC 6962 §2.1.2).
    ///
    /// # Errors
    /// When there is no such proof or the file cannot be read.
    pub async fn consistency_proof(&self, old: u64, new: u64) -> Result<Vec<Sha256Digest>, StoreError> {
        self.proof(|node| consistency_proof(old, new, node)).await
    }

    /// Makes a proof in two passes: the first learns which subtrees it takes.
    async fn proof(
        &self,
        make: impl Fn(&mut dyn FnMut(Subtree) -> Option<Sha256Digest>) -> Result<Vec<Sha256Digest>, ProofError>,
    ) -> Result<Vec<Sha256Digest>, StoreError> {
        let mut wanted = Vec::new();
        make(&mut |subtree| {
            wanted.push(subtree);
            Some(Sha256Digest::from_bytes([0; 32]))
        })
        .map_err(failed)?;
        let mut known = std::collections::HashMap::new();
        for subtree in wanted {
            let root = self.kept_subtree(subtree).await?;
            known.insert(subtree, root.ok_or_else(|| failed(ProofError::Missing(subtree)))?);
        }
        make(&mut |subtree| known.get(&subtree).copied()).map_err(failed)
    }

    /// The root of a perfect subtree, from the at most 128 nodes below it that are kept; `None` if they are not there.
    pub(super) async fn kept_subtree(&self, subtree: Subtree) -> Result<Option<Sha256Digest>, StoreError> {
        let kept = subtree.level / BLOCK_LEVEL * BLOCK_LEVEL;
        let width = 1_u64 << (subtree.level - kept);
        let first = subtree.index * width;
        let query = if kept == 0 {
            sqlx::query("SELECT leaf FROM entry WHERE seq >= ? AND seq < ? ORDER BY seq")
        } else {
            sqlx::query("SELECT hash FROM node WHERE idx >= ? AND idx < ? AND level = ? ORDER BY idx")
        };
        let query = query.bind(number(first)).bind(number(first + width));
        let query = if kept == 0 { query } else { query.bind(kept) };
        let rows = query.fetch_all(&self.pool).await.map_err(failed)?;
        let mut tree = crate::domain::ledger::Frontier::new();
        if kept == 0 && (rows.len() as u64) < width {
            // Entries that an archive holds: their leaves stand in their tile.
            for row in self.rows(first, first + width).await? {
                tree.append(LeafHash::from_bytes(row.leaf.try_into().map_err(|_| failed("a leaf has no 32 bytes"))?));
            }
            return Ok((tree.size() == width).then(|| tree.root()));
        }
        for row in &rows {
            let hash: [u8; 32] = row.try_get::<&[u8], _>(0).map_err(failed)?.try_into().map_err(failed)?;
            tree.append(LeafHash::from_bytes(hash));
        }
        Ok((tree.size() == width).then(|| tree.root()))
    }
}

#[async_trait::async_trait]
impl crate::service::governance::Entries for SqliteReader {
    async fn page(&self, from: u64, limit: u32, filter: &EntryFilter) -> Result<Vec<(u64, Vec<u8>)>, StoreError> {
        self.entries(from, limit, filter).await
    }

    async fn openings(&self, first: u64, last: u64) -> Result<std::collections::BTreeMap<u64, Openings>, StoreError> {
        SqliteReader::openings(self, first, last).await
    }
}

/// `None` when the filter names an id that is none, which no entry has.
fn entries_query(from: u64, limit: u32, filter: &EntryFilter) -> Option<QueryBuilder<Sqlite>> {
    let mut query = QueryBuilder::new("SELECT seq, body FROM entry WHERE seq >= ");
    query.push_bind(number(from));
    let event_type = filter.event_type.map(|kind| kind.as_str().to_owned());
    let workspace = filter.workspace.as_ref().map(ToString::to_string);
    for (condition, value) in [
        (" AND event_type = ", event_type.as_ref()),
        (" AND agent = ", filter.agent.as_ref()),
        (" AND act = ", filter.act.as_ref()),
        (" AND reason = ", filter.reason.as_ref()),
        (" AND workspace = ", workspace.as_ref()),
    ] {
        if let Some(value) = value {
            query.push(condition).push_bind(value.clone());
        }
    }
    let jti = filter.jti.as_ref().map(|id| id.parse().map(|id: Jti| id.as_bytes().to_vec()));
    let challenge = filter.challenge_id.as_ref().map(|id| id.parse().map(|id: ChallengeId| id.as_bytes().to_vec()));
    let decision = filter.decision_id.as_ref().map(|id| id.parse().map(|id: DecisionId| id.as_bytes().to_vec()));
    for (condition, id) in
        [(" AND jti = ", jti), (" AND challenge_id = ", challenge), (" AND decision_id = ", decision)]
    {
        if let Some(id) = id {
            query.push(condition).push_bind(id.ok()?);
        }
    }
    for (condition, at) in [(" AND at_ms >= ", filter.since), (" AND at_ms < ", filter.until)] {
        if let Some(at) = at {
            query.push(condition).push_bind(millis(at));
        }
    }
    query.push(" ORDER BY seq LIMIT ").push_bind(limit);
    Some(query)
}

pub(super) fn stored_challenge(row: &SqliteRow) -> Result<Stored<Challenge>, StoreError> {
    let body: &str = row.try_get(1).map_err(failed)?;
    Ok(Stored { version: unsigned(row, 0)?, value: parse(body.as_bytes())? })
}

pub(super) fn parse<T: serde::de::DeserializeOwned>(text: &[u8]) -> Result<T, StoreError> {
    json::from_slice(text).map_err(failed)
}

pub(super) fn unsigned(row: &SqliteRow, column: usize) -> Result<u64, StoreError> {
    u64::try_from(row.try_get::<i64, _>(column).map_err(failed)?).map_err(failed)
}

pub(super) fn failed(error: impl std::fmt::Display) -> StoreError {
    StoreError::Unavailable(error.to_string())
}
