//! The places of sinks: moved by the one writer, in the transaction of its group, read beside it.
//!
//! INVARIANT: as in `outbox`, no statement here fails on what is already there.

use std::time::Duration;

use async_trait::async_trait;
use futures_util::TryStreamExt as _;
use rusqlite::{Connection, Error, params};
use sqlx::Row as _;
use tokio::time::timeout;

use super::archived::Forget;
use super::op::{Answer, Op};
use super::reader::{failed, unsigned};
use super::rows::number;
use super::sqlite::{SqliteStore, unexpected};
use crate::service::ports::{ShippingLog, StoreError, Stretch};

/// What changes about sinks and archives.
#[derive(Debug)]
pub(super) enum ShippingChange {
    Join { sink: String, first: u64 },
    Advance { sink: String, next: u64 },
    Forget(Forget),
}

impl ShippingChange {
    /// Writes the change; `size` is the log's size so far.
    pub(super) fn apply(self, db: &Connection, size: u64) -> Result<(), Error> {
        match self {
            Self::Join { sink, first } => {
                db.prepare_cached("INSERT INTO sink_place (sink, next_seq) VALUES (?, ?) ON CONFLICT DO NOTHING")?
                    .execute(params![sink, number(first.min(size))])?;
            }
            Self::Advance { sink, next } => {
                db.prepare_cached("UPDATE sink_place SET next_seq = ?2 WHERE sink = ?1 AND next_seq < ?2")?
                    .execute(params![sink, number(next)])?;
            }
            Self::Forget(forget) => forget.apply(db)?,
        }
        Ok(())
    }
}

impl SqliteStore {
    async fn change_shipping(&self, change: ShippingChange) -> Result<(), StoreError> {
        match self.ask(Op::Shipping { change, entry: None }).await? {
            Answer::Noted => Ok(()),
            other => Err(unexpected(&other)),
        }
    }
}

#[async_trait]
impl ShippingLog for SqliteStore {
    async fn place(&self, sink: &str, first: u64) -> Result<u64, StoreError> {
        self.change_shipping(ShippingChange::Join { sink: sink.to_owned(), first }).await?;
        let row = sqlx::query("SELECT next_seq FROM sink_place WHERE sink = ?")
            .bind(sink.to_owned())
            .fetch_one(&self.reader.pool)
            .await
            .map_err(failed)?;
        unsigned(&row, 0)
    }

    async fn advance(&self, sink: &str, next: u64) -> Result<(), StoreError> {
        self.change_shipping(ShippingChange::Advance { sink: sink.to_owned(), next }).await
    }

    async fn stretch(&self, from: u64, records: usize, bytes: usize) -> Result<Stretch, StoreError> {
        let size = self.durable();
        let mut stretch = Stretch { entries: Vec::new(), next: size.max(from), full: false };
        if size <= from {
            return Ok(stretch);
        }
        let mut rows = sqlx::query("SELECT seq, body FROM entry WHERE seq >= ? AND seq < ? ORDER BY seq LIMIT ?")
            .bind(number(from))
            .bind(number(size))
            .bind(number(records as u64))
            .fetch(&self.reader.pool);
        let mut taken = 0;
        while let Some(row) = rows.try_next().await.map_err(failed)? {
            let (seq, body): (u64, Vec<u8>) = (unsigned(&row, 0)?, row.try_get(1).map_err(failed)?);
            taken += body.len();
            // One record is always taken, so that none is too large to be sent.
            let fits = taken <= bytes || stretch.entries.is_empty();
            if fits {
                stretch.entries.push((seq, body));
            }
            if taken >= bytes || stretch.entries.len() >= records {
                let last = stretch.entries.last().map_or(from, |(seq, _)| seq + 1);
                (stretch.next, stretch.full) = (last, true);
                break;
            }
        }
        Ok(stretch)
    }

    fn durable(&self) -> u64 {
        self.seen.checkpoint.borrow().size()
    }

    async fn grown(&self, size: u64, millis: u64) {
        let mut checkpoints = self.seen.checkpoint.subscribe();
        let more = checkpoints.wait_for(|checkpoint| checkpoint.size() > size);
        let _ = timeout(Duration::from_millis(millis), more).await;
    }
}
