//! The queues of notifications: written by the one writer, in the transaction of their group, read beside it.
//!
//! INVARIANT: no statement here fails on what is already there. A change is made again when the fate of the first try is
//! not known, and a statement that fails takes the decisions of its whole group with it.

use std::time::Duration;

use async_trait::async_trait;
use rusqlite::{Connection, Error, params};
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;
use tokio::time::timeout;

use super::op::{Answer, Op, Prepared};
use super::reader::{SqliteReader, failed, parse, unsigned};
use super::rows::{millis, number};
use super::sqlite::{SqliteStore, unexpected};
use crate::domain::ledger::{Entry, Receipt};
use crate::domain::time::Timestamp;
use crate::service::ports::{Backlog, News, Outbox, Queued, StoreError, Waiting};

/// How long a dead letter is kept.
const DEAD_LETTERS_KEPT: Duration = Duration::from_secs(30 * 24 * 3600);

/// What changes in an endpoint's queue.
#[derive(Debug)]
pub(super) enum OutboxChange {
    Join { endpoint: String },
    Queue { endpoint: String, next: u64, events: Vec<Queued> },
    Strike { endpoint: String, seq: u64 },
    Postpone { endpoint: String, seq: u64, attempts: u32, next: Timestamp, detail: String },
    Bury { endpoint: String, seq: u64, attempts: u32, at: Timestamp, detail: String },
}

impl OutboxChange {
    /// Writes the change; `size` is the log's size so far.
    pub(super) fn apply(self, db: &Connection, size: u64) -> Result<(), Error> {
        match self {
            Self::Join { endpoint } => {
                db.prepare_cached(
                    "INSERT INTO notification_place (endpoint, next_seq) VALUES (?, ?) ON CONFLICT DO NOTHING",
                )?
                .execute(params![endpoint, number(size)])?;
            }
            Self::Queue { endpoint, next, events } => queue(db, &endpoint, next, &events)?,
            Self::Strike { endpoint, seq } => strike(db, &endpoint, seq)?,
            Self::Postpone { endpoint, seq, attempts, next, detail } => {
                db.prepare_cached(
                    "UPDATE notification_waiting SET attempts = ?, next_ms = ?, last = ? WHERE endpoint = ? AND seq = ?",
                )?
                .execute(params![attempts, millis(next), detail, endpoint, number(seq)])?;
            }
            Self::Bury { endpoint, seq, attempts, at, detail } => {
                strike(db, &endpoint, seq)?;
                db.prepare_cached(
                    "INSERT INTO notification_dead (endpoint, seq, attempts, dead_ms, last) VALUES (?, ?, ?, ?, ?) \
                     ON CONFLICT DO NOTHING",
                )?
                .execute(params![endpoint, number(seq), attempts, millis(at), detail])?;
                db.prepare_cached("DELETE FROM notification_dead WHERE dead_ms < ?")?
                    .execute([millis(at.minus(DEAD_LETTERS_KEPT))])?;
            }
        }
        Ok(())
    }
}

fn queue(db: &Connection, endpoint: &str, next: u64, events: &[Queued]) -> Result<(), Error> {
    let mut waiting = db.prepare_cached(
        "INSERT INTO notification_waiting (endpoint, seq, challenge_id, at_ms, attempts, next_ms) \
         VALUES (?1, ?2, ?3, ?4, 0, ?4) ON CONFLICT DO NOTHING",
    )?;
    for event in events {
        waiting.execute(params![endpoint, number(event.seq), event.challenge_id.as_bytes(), millis(event.at)])?;
    }
    db.prepare_cached("UPDATE notification_place SET next_seq = ? WHERE endpoint = ?")?
        .execute(params![number(next), endpoint])
        .map(|_| ())
}

fn strike(db: &Connection, endpoint: &str, seq: u64) -> Result<(), Error> {
    db.prepare_cached("DELETE FROM notification_waiting WHERE endpoint = ? AND seq = ?")?
        .execute(params![endpoint, number(seq)])
        .map(|_| ())
}

impl SqliteStore {
    async fn change_outbox(&self, change: OutboxChange) -> Result<(), StoreError> {
        match self.ask(Op::Outbox { change, entry: None }).await? {
            Answer::Noted => Ok(()),
            other => Err(unexpected(&other)),
        }
    }
}

#[async_trait]
impl Outbox for SqliteStore {
    async fn join(&self, endpoint: &str) -> Result<u64, StoreError> {
        self.change_outbox(OutboxChange::Join { endpoint: endpoint.to_owned() }).await?;
        let row = sqlx::query("SELECT next_seq FROM notification_place WHERE endpoint = ?")
            .bind(endpoint.to_owned())
            .fetch_one(&self.reader.pool)
            .await
            .map_err(failed)?;
        unsigned(&row, 0)
    }

    async fn news(&self, from: u64, window: u64) -> Result<News, StoreError> {
        // The checkpoint covers what is durable, and nothing beyond it is looked at.
        let size = self.seen.checkpoint.borrow().size();
        let next = size.min(from.saturating_add(window)).max(from);
        if next == from {
            return Ok(News { entries: Vec::new(), next });
        }
        // `+challenge_id`: a range of the primary key, not a walk over every challenge there ever was.
        let rows = sqlx::query(
            "SELECT seq, body FROM entry WHERE seq >= ? AND seq < ? AND +challenge_id IS NOT NULL AND event_type IN \
             ('poa_challenge_created', 'poa_approval_recorded', 'poa_challenge_rejected', 'poa_challenge_expired', \
             'poa_challenge_withdrawn') ORDER BY seq",
        )
        .bind(number(from))
        .bind(number(next))
        .fetch_all(&self.reader.pool)
        .await
        .map_err(failed)?;
        let entries =
            rows.iter().map(|row| Ok((unsigned(row, 0)?, entry(row, 1)?))).collect::<Result<_, StoreError>>()?;
        Ok(News { entries, next })
    }

    async fn queue(&self, endpoint: &str, next: u64, events: Vec<Queued>) -> Result<(), StoreError> {
        self.change_outbox(OutboxChange::Queue { endpoint: endpoint.to_owned(), next, events }).await
    }

    async fn due(&self, endpoint: &str, now: Timestamp, limit: u32) -> Result<Vec<Waiting>, StoreError> {
        let rows = sqlx::query(
            "SELECT n.seq, n.attempts, entry.body FROM notification_waiting n JOIN entry ON entry.seq = n.seq \
             WHERE n.endpoint = ? AND n.next_ms <= ? AND NOT EXISTS (SELECT 1 FROM notification_waiting o \
             WHERE o.endpoint = n.endpoint AND o.challenge_id = n.challenge_id AND o.seq < n.seq) \
             ORDER BY n.seq LIMIT ?",
        )
        .bind(endpoint.to_owned())
        .bind(millis(now))
        .bind(limit)
        .fetch_all(&self.reader.pool)
        .await
        .map_err(failed)?;
        let waiting = |row: &SqliteRow| {
            let attempts = u32::try_from(unsigned(row, 1)?).map_err(failed)?;
            Ok(Waiting { seq: unsigned(row, 0)?, attempts, entry: entry(row, 2)? })
        };
        rows.iter().map(waiting).collect()
    }

    async fn waiting(&self, endpoint: &str) -> Result<Backlog, StoreError> {
        let row = sqlx::query("SELECT count(*), min(at_ms) FROM notification_waiting WHERE endpoint = ?")
            .bind(endpoint.to_owned())
            .fetch_one(&self.reader.pool)
            .await
            .map_err(failed)?;
        let oldest: Option<i64> = row.try_get(1).map_err(failed)?;
        let oldest = oldest.and_then(|at| u64::try_from(at).ok()).map(Timestamp::from_millis);
        Ok(Backlog { count: unsigned(&row, 0)?, oldest })
    }

    async fn strike(&self, endpoint: &str, seq: u64) -> Result<(), StoreError> {
        self.change_outbox(OutboxChange::Strike { endpoint: endpoint.to_owned(), seq }).await
    }

    async fn postpone(
        &self,
        endpoint: &str,
        seq: u64,
        attempts: u32,
        next: Timestamp,
        detail: &str,
    ) -> Result<(), StoreError> {
        let (endpoint, detail) = (endpoint.to_owned(), detail.to_owned());
        self.change_outbox(OutboxChange::Postpone { endpoint, seq, attempts, next, detail }).await
    }

    async fn bury(
        &self,
        endpoint: &str,
        seq: u64,
        attempts: u32,
        detail: &str,
        entry: Entry,
    ) -> Result<Receipt, StoreError> {
        let (endpoint, detail) = (endpoint.to_owned(), detail.to_owned());
        let change = OutboxChange::Bury { endpoint, seq, attempts, at: entry.at, detail };
        self.append(Op::Outbox { change, entry: Some(Prepared::of(entry)?) }).await
    }

    async fn changed(&self, millis: u64) {
        // What changes between a look and this call is found at the next look: nobody waits for a notification.
        let mut changes = self.seen.challenges.subscribe();
        let _ = timeout(Duration::from_millis(millis), changes.recv()).await;
    }
}

/// An event that an endpoint was not told of.
#[derive(Debug, Clone)]
pub struct DeadLetter {
    /// The endpoint.
    pub endpoint: String,
    /// Its entry's index.
    pub seq: u64,
    /// How often it was tried.
    pub attempts: u64,
    /// When it was given up.
    pub dead_at: Timestamp,
    /// How the last attempt failed.
    pub last: String,
    /// The event.
    pub entry: Entry,
}

impl SqliteReader {
    /// What was given up, oldest first, at most `limit`.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn dead_letters(&self, limit: u32) -> Result<Vec<DeadLetter>, StoreError> {
        let rows = sqlx::query(
            "SELECT d.endpoint, d.seq, d.attempts, d.dead_ms, d.last, entry.body FROM notification_dead d \
             JOIN entry ON entry.seq = d.seq ORDER BY d.seq, d.endpoint LIMIT ?",
        )
        .bind(limit)
        .fetch_all(&self.pool)
        .await
        .map_err(failed)?;
        let letter = |row: &SqliteRow| {
            Ok(DeadLetter {
                endpoint: row.try_get(0).map_err(failed)?,
                seq: unsigned(row, 1)?,
                attempts: unsigned(row, 2)?,
                dead_at: Timestamp::from_millis(unsigned(row, 3)?),
                last: row.try_get(4).map_err(failed)?,
                entry: entry(row, 5)?,
            })
        };
        rows.iter().map(letter).collect()
    }
}

fn entry(row: &SqliteRow, column: usize) -> Result<Entry, StoreError> {
    parse(row.try_get(column).map_err(failed)?)
}
