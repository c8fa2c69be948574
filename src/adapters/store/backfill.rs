//! Moving what is durable in the write-ahead log into the file, beside the writer.
//!
//! SQLite does it within a commit as soon as the log is long, and everybody who waits for that commit waits for some
//! thousand pages more. Here a second connection on a thread of its own does the most of it while the writer goes on
//! (`PASSIVE` blocks nobody), and the writer does the small rest between two groups, after which the log starts again at
//! its beginning. How long the log is says nothing about what is durable: every commit is, before it is answered.
//!
//! A failure is not an error: the log grows on and the next attempt comes after as many bytes again. A start, and an
//! orderly stop, move all of it.

use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};

use rusqlite::Connection;

use super::schema;

/// Bytes of entries after which the log is moved. With pages and indexes it is about twice as long then.
const AFTER: usize = 8 << 20;

/// How much there is to move, and who does it.
#[derive(Debug)]
pub(super) struct Backfill {
    path: PathBuf,
    written: usize,
    running: Option<JoinHandle<()>>,
}

impl Backfill {
    pub(super) fn of(path: &Path) -> Self {
        Self { path: path.to_owned(), written: 0, running: None }
    }

    /// A group of `bytes` bytes is durable.
    pub(super) fn wrote(&mut self, bytes: usize) {
        self.written += bytes;
    }

    /// Between two groups, when callers have their answers.
    pub(super) fn advance(&mut self, conn: &Connection) {
        if self.running.as_ref().is_some_and(JoinHandle::is_finished) {
            self.running = None;
            self.written = 0;
            let _ = passive(conn);
        }
        if self.running.is_none() && self.written >= AFTER {
            let path = self.path.clone();
            self.running = thread::Builder::new().name("atb-backfill".to_owned()).spawn(move || beside(&path)).ok();
        }
    }

    /// Waits until nothing is running, before the last connection closes.
    pub(super) fn finish(&mut self) {
        if let Some(running) = self.running.take() {
            let _ = running.join();
        }
    }
}

fn beside(path: &Path) {
    let Ok(conn) = schema::connect(path) else { return };
    // What comes in meanwhile is moved in a second pass, so that hardly anything is left for the writer.
    for _ in 0..2 {
        if passive(&conn).is_err() {
            break;
        }
    }
}

/// Moves what can be moved without waiting for anybody.
fn passive(conn: &Connection) -> Result<(), rusqlite::Error> {
    conn.execute_batch("PRAGMA wal_checkpoint(PASSIVE)")
}
