//! Tokens that were believed: the rows, and the port over the writer's queue.

use async_trait::async_trait;
use rusqlite::{Connection, Error, params};

use super::SqliteStore;
use super::op::{Answer, Op};
use super::rows::{PRUNE_ROWS, millis};
use super::sqlite::unexpected;
use crate::domain::spiffe::SpiffeId;
use crate::domain::time::Timestamp;
use crate::service::ports::{Seen, SeenToken, SeenTokens, StoreError};

/// Remembers a token; the presenter of before, if it is not new.
pub(super) fn see(db: &Connection, token: &SeenToken) -> Result<Option<String>, Error> {
    let key = token.key.as_bytes();
    let inserted = db
        .prepare_cached(
            "INSERT INTO seen_token (key, presenter, keep_until) VALUES (?, ?, ?) ON CONFLICT (key) DO NOTHING",
        )?
        .execute(params![key, token.presenter.as_str(), millis(token.keep_until)])?;
    if inserted == 1 {
        return Ok(None);
    }
    db.prepare_cached("SELECT presenter FROM seen_token WHERE key = ?")?.query_row([key], |row| row.get(0)).map(Some)
}

pub(super) fn prune(db: &Connection, now: Timestamp) -> Result<u64, Error> {
    let text = "DELETE FROM seen_token WHERE key IN (SELECT key FROM seen_token WHERE keep_until < ? LIMIT ?)";
    db.prepare_cached(text)?.execute(params![millis(now), PRUNE_ROWS]).map(|rows| rows as u64)
}

#[async_trait]
impl SeenTokens for SqliteStore {
    async fn see(&self, token: SeenToken) -> Result<Seen, StoreError> {
        match self.ask(Op::See(token)).await? {
            Answer::Seen(None) => Ok(Seen::First),
            Answer::Seen(Some(presenter)) => {
                let presenter: SpiffeId = presenter
                    .parse()
                    .map_err(|error| StoreError::Unavailable(format!("a presenter of a token: {error}")))?;
                Ok(Seen::Before(presenter))
            }
            other => Err(unexpected(&other)),
        }
    }
}
