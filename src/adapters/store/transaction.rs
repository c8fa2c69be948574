//! A transaction in as few round trips as it takes.
//!
//! sqlx runs SQLite on a thread of its own, and waking that thread and being woken by it costs more than most statements
//! do. A text may hold several statements: `BEGIN` goes with the first of them and `COMMIT` with the last, so that a
//! group of entries is one round trip.
//!
//! Not here: what is written.

use futures_util::TryStreamExt as _;
use sqlx::query::Query;
use sqlx::sqlite::{Sqlite, SqliteArguments, SqliteConnection, SqliteRow};
use sqlx::{Either, Executor as _};

/// The statement that a text of several begins with where the transaction is not open yet.
pub(super) const BEGIN: &str = "BEGIN IMMEDIATE; ";

/// A text of one or more statements with its values.
pub(super) type Statements = Query<'static, Sqlite, SqliteArguments>;

/// A transaction that was not made durable.
pub(super) enum Failed {
    /// It was rolled back: nothing of it is there, or will be.
    RolledBack(sqlx::Error),
    /// Whether it is durable is not known.
    Unknown(sqlx::Error),
}

/// A transaction, open from its first statement on. The writer's connection is the only one that writes.
pub(super) struct Transaction<'c> {
    conn: &'c mut SqliteConnection,
    open: bool,
}

impl<'c> Transaction<'c> {
    pub(super) fn on(conn: &'c mut SqliteConnection) -> Self {
        Self { conn, open: false }
    }

    /// Whether the next text has to begin with [`BEGIN`].
    pub(super) fn is_open(&self) -> bool {
        self.open
    }

    /// The connection, for statements inside the transaction.
    pub(super) async fn inside(&mut self) -> Result<&mut SqliteConnection, sqlx::Error> {
        if !self.open {
            sqlx::query("BEGIN IMMEDIATE").execute(&mut *self.conn).await?;
            self.open = true;
        }
        Ok(self.conn)
    }

    /// Runs the first statements, which begin with [`BEGIN`], and returns the rows that they give.
    pub(super) async fn begin_with(&mut self, first: Statements) -> Result<Vec<SqliteRow>, sqlx::Error> {
        let rows = first.fetch_all(&mut *self.conn).await?;
        self.open = true;
        Ok(rows)
    }

    /// Runs the last `count` statements: [`BEGIN`] where the transaction is not open, and `COMMIT` behind the others.
    pub(super) async fn commit(self, last: Statements, count: usize) -> Result<(), Failed> {
        let mut done = 0;
        let error = {
            let mut results = self.conn.fetch_many(last);
            loop {
                match results.try_next().await {
                    Ok(Some(Either::Left(_))) => done += 1,
                    Ok(Some(Either::Right(_))) => {}
                    Ok(None) => return Ok(()),
                    Err(error) => break error,
                }
            }
        };
        // From the last statement on the group may be durable although the answer says otherwise.
        let committing = done + 1 >= count;
        let open = self.open || done > 0;
        Self { open: open && !committing, ..self }.fail(error).await
    }

    /// Gives the transaction up because of `error`.
    pub(super) async fn fail<T>(self, error: sqlx::Error) -> Result<T, Failed> {
        if !self.open {
            return Err(Failed::Unknown(error));
        }
        match sqlx::query("ROLLBACK").execute(self.conn).await {
            Ok(_) => Err(Failed::RolledBack(error)),
            // SQLite has given it up itself, or cannot.
            Err(_) => Err(Failed::Unknown(error)),
        }
    }
}
