//! A transaction, and how much is known of one that failed.
//!
//! Not here: what is written.

use std::ops::Deref;

use rusqlite::{Connection, Error, TransactionBehavior};

/// A transaction that was not made durable.
pub(super) enum Failed {
    /// It was rolled back: nothing of it is there, or will be.
    RolledBack(Error),
    /// Whether it is durable is not known.
    Unknown(Error),
}

/// An open transaction of the writer's connection, the only one that writes.
pub(super) struct Transaction<'c>(rusqlite::Transaction<'c>);

impl<'c> Transaction<'c> {
    pub(super) fn begin(conn: &'c mut Connection) -> Result<Self, Failed> {
        conn.transaction_with_behavior(TransactionBehavior::Immediate).map(Self).map_err(Failed::Unknown)
    }

    /// From here on the group may be durable although the answer says otherwise.
    pub(super) fn commit(self) -> Result<(), Failed> {
        self.0.commit().map_err(Failed::Unknown)
    }

    /// Gives the transaction up because of `error`.
    pub(super) fn fail(self, error: Error) -> Failed {
        match self.0.rollback() {
            Ok(()) => Failed::RolledBack(error),
            // SQLite has given it up itself, or cannot.
            Err(_) => Failed::Unknown(error),
        }
    }
}

impl Deref for Transaction<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.0
    }
}
