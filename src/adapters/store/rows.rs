//! The single-row statements of a group, and how values stand in rows.

use rusqlite::{Connection, Error, params};

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

pub(super) fn open_challenge(db: &Connection, row: &ChallengeRow) -> Result<bool, Error> {
    let opened = db
        .prepare_cached(
            "INSERT INTO challenge (id, version, state, agent, workspace, tier, act, asked, voted, created_at, expires_at, \
             summary, body) VALUES (?, 1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING",
        )?
        .execute(params![
            row.id.as_bytes(),
            row.state,
            row.agent,
            row.workspace,
            row.tier,
            row.act,
            row.asked,
            row.voted,
            millis(row.created_at),
            millis(row.expires_at),
            row.summary,
            row.body,
        ])?;
    Ok(opened == 1)
}

pub(super) fn advance_challenge(db: &Connection, version: u64, row: &ChallengeRow) -> Result<bool, Error> {
    let advanced = db
        .prepare_cached(
            "UPDATE challenge SET version = version + 1, state = ?, voted = ?, expires_at = ?, summary = ?, body = ? \
             WHERE id = ? AND version = ?",
        )?
        .execute(params![
            row.state,
            row.voted,
            millis(row.expires_at),
            row.summary,
            row.body,
            row.id.as_bytes(),
            number(version),
        ])?;
    Ok(advanced == 1)
}

pub(super) fn prune(db: &Connection, now: Timestamp) -> Result<u64, Error> {
    let text = "DELETE FROM burned WHERE key IN (SELECT key FROM burned WHERE in_doubt = 0 AND expires_at < ? LIMIT ?)";
    db.prepare_cached(text)?.execute(params![millis(now), PRUNE_ROWS]).map(|rows| rows as u64)
}

/// A full block: its leaves, and the calls that it allowed.
pub(super) fn insert_tile(db: &Connection, index: u64, leaves: &[u8], allowed: &[u8]) -> Result<(), Error> {
    let index = number(index);
    db.prepare_cached("INSERT INTO tile (idx, leaves) VALUES (?, ?)")?.execute(params![index, leaves])?;
    db.prepare_cached("INSERT INTO allowed_block (idx, calls) VALUES (?, ?)")?.execute(params![index, allowed])?;
    Ok(())
}

pub(super) fn insert_node(db: &Connection, subtree: Subtree, hash: Sha256Digest) -> Result<(), Error> {
    db.prepare_cached("INSERT INTO node (level, idx, hash) VALUES (?, ?, ?)")?
        .execute(params![subtree.level, number(subtree.index), hash.as_bytes()])
        .map(|_| ())
}

/// As SQLite stores it. Sizes and times are far below 2^63.
pub(super) fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// As SQLite stores it.
pub(super) fn millis(at: Timestamp) -> i64 {
    number(at.as_millis())
}
