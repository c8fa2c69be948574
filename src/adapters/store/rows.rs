//! The single-row statements of a group, and how values stand in rows.

use sqlx::sqlite::SqliteConnection;

use crate::domain::approval::{Challenge, Summary, Vote};
use crate::domain::id::{ChallengeId, Sha256Digest};
use crate::domain::ledger::Subtree;
use crate::domain::time::Timestamp;
use crate::service::ports::StoreError;

/// How many burned keys one transaction forgets, so that pruning does not hold up decisions.
pub(super) const PRUNE_ROWS: u32 = 4096;

/// A challenge as a row.
#[derive(Debug)]
pub(super) struct ChallengeRow {
    pub(super) id: ChallengeId,
    state: &'static str,
    agent: String,
    workspace: String,
    tier: &'static str,
    act: String,
    asked: Option<String>,
    voted: String,
    created_at: Timestamp,
    expires_at: Timestamp,
    summary: String,
    body: String,
}

impl ChallengeRow {
    pub(super) fn of(challenge: &Challenge) -> Result<Self, StoreError> {
        let draft = challenge.draft();
        let voted: Vec<_> = challenge.votes().iter().flat_map(Vote::people).collect();
        Ok(Self {
            id: challenge.id(),
            state: challenge.state().as_str(),
            agent: challenge.agent().to_string(),
            workspace: draft.workspace.to_string(),
            tier: draft.tier.as_str(),
            act: draft.ask.act.to_string(),
            asked: if draft.asked.is_empty() { None } else { Some(json(&draft.asked)?) },
            voted: json(&voted)?,
            created_at: challenge.created_at(),
            expires_at: challenge.expires_at(),
            summary: json(&Summary::of(challenge))?,
            body: json(challenge)?,
        })
    }
}

fn json(value: &impl serde::Serialize) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| StoreError::Unavailable(error.to_string()))
}

pub(super) async fn open_challenge(tx: &mut SqliteConnection, row: &ChallengeRow) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(
        "INSERT INTO challenge (id, version, state, agent, workspace, tier, act, asked, voted, created_at, expires_at, \
         summary, body) VALUES (?, 1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING",
    )
    .bind(row.id.as_bytes().to_vec())
    .bind(row.state)
    .bind(row.agent.clone())
    .bind(row.workspace.clone())
    .bind(row.tier)
    .bind(row.act.clone())
    .bind(row.asked.clone())
    .bind(row.voted.clone())
    .bind(millis(row.created_at))
    .bind(millis(row.expires_at))
    .bind(row.summary.clone())
    .bind(row.body.clone())
    .execute(tx)
    .await?;
    Ok(done.rows_affected() == 1)
}

pub(super) async fn advance_challenge(
    tx: &mut SqliteConnection,
    version: u64,
    row: &ChallengeRow,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(
        "UPDATE challenge SET version = version + 1, state = ?, voted = ?, expires_at = ?, summary = ?, body = ? \
         WHERE id = ? AND version = ?",
    )
    .bind(row.state)
    .bind(row.voted.clone())
    .bind(millis(row.expires_at))
    .bind(row.summary.clone())
    .bind(row.body.clone())
    .bind(row.id.as_bytes().to_vec())
    .bind(number(version))
    .execute(tx)
    .await?;
    Ok(done.rows_affected() == 1)
}

pub(super) async fn prune(tx: &mut SqliteConnection, now: Timestamp) -> Result<u64, sqlx::Error> {
    let done = sqlx::query(
        "DELETE FROM burned WHERE key IN (SELECT key FROM burned WHERE in_doubt = 0 AND expires_at < ? LIMIT ?)",
    )
    .bind(millis(now))
    .bind(PRUNE_ROWS)
    .execute(tx)
    .await?;
    Ok(done.rows_affected())
}

/// Full blocks: their number, their leaves, and the calls that they allowed.
pub(super) async fn insert_tiles(
    tx: &mut SqliteConnection,
    tiles: &[(u64, Vec<u8>, Vec<u8>)],
) -> Result<(), sqlx::Error> {
    for (index, leaves, allowed) in tiles {
        sqlx::query(
            "INSERT INTO tile (idx, leaves) VALUES (?, ?); INSERT INTO allowed_block (idx, calls) VALUES (?, ?)",
        )
        .bind(number(*index))
        .bind(leaves.clone())
        .bind(number(*index))
        .bind(allowed.clone())
        .execute(&mut *tx)
        .await?;
    }
    Ok(())
}

pub(super) async fn insert_nodes(
    tx: &mut SqliteConnection,
    nodes: &[(Subtree, Sha256Digest)],
) -> Result<(), sqlx::Error> {
    for (subtree, hash) in nodes {
        sqlx::query("INSERT INTO node (level, idx, hash) VALUES (?, ?, ?)")
            .bind(subtree.level)
            .bind(number(subtree.index))
            .bind(hash.as_bytes().to_vec())
            .execute(&mut *tx)
            .await?;
    }
    Ok(())
}

/// As SQLite stores it. Sizes and times are far below 2^63.
pub(super) fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// As SQLite stores it.
pub(super) fn millis(at: Timestamp) -> i64 {
    number(at.as_millis())
}
