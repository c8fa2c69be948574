//! Tokens that were believed: the rows, and the port over the writer's queue.

use async_trait::async_trait;
use sqlx::Row as _;
use sqlx::sqlite::SqliteConnection;

use super::SqliteStore;
use super::op::{Answer, Op};
use super::rows::{PRUNE_ROWS, millis};
use super::sqlite::unexpected;
use crate::domain::spiffe::SpiffeId;
use crate::domain::time::Timestamp;
use crate::service::ports::{Seen, SeenToken, SeenTokens, StoreError};

/// Remembers a token; the presenter of before, if it is not new.
pub(super) async fn see(tx: &mut SqliteConnection, token: &SeenToken) -> Result<Option<String>, sqlx::Error> {
    let key = token.key.as_bytes().to_vec();
    let done = sqlx::query(
        "INSERT INTO seen_token (key, presenter, keep_until) VALUES (?, ?, ?) ON CONFLICT (key) DO NOTHING",
    )
    .bind(key.clone())
    .bind(token.presenter.to_string())
    .bind(millis(token.keep_until))
    .execute(&mut *tx)
    .await?;
    if done.rows_affected() == 1 {
        return Ok(None);
    }
    let row = sqlx::query("SELECT presenter FROM seen_token WHERE key = ?").bind(key).fetch_one(tx).await?;
    row.try_get(0).map(Some)
}

pub(super) async fn prune(tx: &mut SqliteConnection, now: Timestamp) -> Result<u64, sqlx::Error> {
    let done =
        sqlx::query("DELETE FROM seen_token WHERE key IN (SELECT key FROM seen_token WHERE keep_until < ? LIMIT ?)")
            .bind(millis(now))
            .bind(PRUNE_ROWS)
            .execute(tx)
            .await?;
    Ok(done.rows_affected())
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
