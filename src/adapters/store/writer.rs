//! The one thread that writes.
//!
//! It has SQLite to itself: a statement is a call and not a message to another thread, and a group is one function from
//! its first request to `COMMIT`. It takes what has arrived, at most [`MAX_GROUP`] requests, and writes it as one
//! transaction ([`super::scribe`]). After a failure whose extent is not known it closes its connection and goes through
//! the same verification as a start before it accepts anything again; until then every request is answered
//! `Unavailable`.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use futures_util::future::BoxFuture;
use rusqlite::Connection;
use tokio::runtime::Handle;
use tokio::sync::{broadcast, mpsc, oneshot, watch};

use super::backfill::Backfill;
use super::group::Log;
use super::lock::ExclusiveLock;
use super::op::{Answer, Op};
use super::places;
use super::reader::SqliteReader;
use super::schema::{self, OpenError};
use super::scribe::Scribe;
use super::stats::{GroupCommit, StoreStats};
use super::transaction::Failed;
use crate::domain::id::ChallengeId;
use crate::domain::ledger::{Checkpoint, LogVerifier};
use crate::domain::time::Timestamp;
use crate::service::auditor::{self, BLOCK, LogSource as _, Start};
use crate::service::ports::{Clock, StoreError};

/// Requests in one transaction.
const MAX_GROUP: usize = 512;
/// Of a group as large as this there are so many callers that it is worth waiting for them.
const COMPANY: usize = 8;
/// How often, at the most.
const PAUSES: u32 = 8;
/// As short as the kernel makes it: some 55 µs, with the slack of its timers.
const PAUSE: Duration = Duration::from_micros(1);
/// Between two attempts to open the file again.
const REOPEN_MICROS: u64 = 200_000;

/// What reaches the writer.
pub(super) enum Request {
    Do(Box<Op>, oneshot::Sender<Result<Answer, StoreError>>),
    Close(oneshot::Sender<Result<(), StoreError>>),
}

/// What others see of the writer.
pub(super) struct Seen {
    pub(super) checkpoint: watch::Sender<Checkpoint>,
    /// Why the last write failed; `None` when it succeeded.
    pub(super) fault: watch::Sender<Option<String>>,
    pub(super) challenges: broadcast::Sender<ChallengeId>,
    /// The size of the log when a challenge last changed; 0 before.
    pub(super) turned: watch::Sender<u64>,
    pub(super) stats: Arc<StoreStats>,
    #[cfg(test)]
    pub(super) faults: Arc<super::fault::Faults>,
}

pub(super) struct Writer {
    pub(super) path: PathBuf,
    pub(super) scribe: Scribe,
    pub(super) verifier: LogVerifier,
    pub(super) reader: SqliteReader,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) seen: Arc<Seen>,
    pub(super) requests: mpsc::Receiver<Request>,
    /// `None` after a failure of unknown extent.
    pub(super) conn: Option<Connection>,
    pub(super) log: Log,
    pub(super) backfill: Backfill,
    /// For what is verified before the first group, which the readers do.
    pub(super) runtime: Handle,
    /// When opening again was last tried.
    pub(super) tried_at: u64,
    pub(super) _lock: ExclusiveLock,
}

/// A log that was opened and verified, ready to be continued.
pub(super) struct Recovered {
    pub(super) conn: Connection,
    pub(super) log: Log,
    pub(super) checkpoint: Checkpoint,
}

/// Opens `path` for writing and verifies the log from its last kept checkpoint, or all of a small one.
///
/// Boxed, because the compiler cannot show a future over sqlx's executor traits to be `Send`.
pub(super) fn recover<'a>(
    path: &'a Path,
    reader: &'a SqliteReader,
    verifier: &'a LogVerifier,
) -> BoxFuture<'a, Result<Recovered, OpenError>> {
    Box::pin(async move {
        schema::bring_up_to_date(path).await?;
        let conn = schema::connect(path).map_err(|error| OpenError::unusable(path, error))?;
        let verified = auditor::verify_log(reader, verifier, &[], Start::LastCheckpoint).await;
        let report = verified.map_err(|error| OpenError::unusable(path, error))?;
        if let Some(finding) = report.findings.into_iter().next() {
            return Err(OpenError::Tampered { path: path.to_owned(), finding });
        }
        let last = reader.last_history(u64::MAX).await.map_err(|error| OpenError::unusable(path, error))?;
        let history_at = last.map_or(0, |last| last.at.as_millis());
        let checkpoint = report.checkpoint.ok_or_else(|| OpenError::unusable(path, "it has no checkpoint"))?;
        let end = checkpoint.size();
        let allowed = reader.allowed_among(end / BLOCK * BLOCK, end).await;
        let allowed = allowed.map_err(|error| OpenError::unusable(path, error))?.into_iter().map(Arc::new).collect();
        let conn = with_places(path, conn, end / BLOCK).await?;
        let tags = reader.tags_among(end / BLOCK * BLOCK, end).await;
        let tags = tags.map_err(|error| OpenError::unusable(path, error))?;
        Ok(Recovered { conn, log: Log { edge: report.edge, history_at, allowed, tags }, checkpoint })
    })
}

/// A connection to a file in which each of the first `blocks` blocks has its places.
async fn with_places(path: &Path, mut conn: Connection, blocks: u64) -> Result<Connection, OpenError> {
    // Elsewhere, because a ledger of an earlier version is read whole once.
    let completed = tokio::task::spawn_blocking(move || places::complete(&mut conn, blocks).map(|()| conn));
    let completed = completed.await.map_err(|error| OpenError::unusable(path, error))?;
    completed.map_err(|error| OpenError::unusable(path, error))
}

impl Writer {
    pub(super) fn run(mut self) {
        let mut closing = Vec::new();
        let mut last = 0;
        while let Some(first) = self.requests.blocking_recv() {
            self.wait_for_company(last);
            let (ops, replies) = self.drain(first, &mut closing);
            last = ops.len();
            if !ops.is_empty() {
                self.serve(ops, replies);
            }
        }
        let end = self.finish();
        // The lock goes before the answer: who is told that the ledger is closed may open it.
        drop(self);
        for reply in closing {
            let _ = reply.send(end.clone());
        }
    }

    /// Gives those whom the last group answered, `last` of them, the time to come again and be in this one. Else a loaded
    /// writer commits many small groups, each with an fsync and a signature. Ends when nearly all are there, or nobody
    /// comes any more.
    fn wait_for_company(&self, last: usize) {
        thread::yield_now();
        if last < COMPANY {
            return;
        }
        let (mut waiting, mut idle) = (self.requests.len(), 0);
        for _ in 0..PAUSES {
            // One more was taken out of the queue.
            if (waiting + 1) * 20 >= last * 19 || idle == 2 {
                return;
            }
            thread::sleep(PAUSE);
            let now = self.requests.len();
            idle = if now == waiting { idle + 1 } else { 0 };
            waiting = now;
        }
    }

    /// What has arrived. A `Close` shuts the door; what is already queued is still served.
    fn drain(
        &mut self,
        first: Request,
        closing: &mut Vec<oneshot::Sender<Result<(), StoreError>>>,
    ) -> (Vec<Op>, Vec<oneshot::Sender<Result<Answer, StoreError>>>) {
        let (mut ops, mut replies) = (Vec::new(), Vec::new());
        let mut next = Some(first);
        while let Some(request) = next {
            match request {
                Request::Do(op, reply) => {
                    ops.push(*op);
                    replies.push(reply);
                }
                Request::Close(reply) => {
                    self.requests.close();
                    closing.push(reply);
                }
            }
            next = if ops.len() < MAX_GROUP { self.requests.try_recv().ok() } else { None };
        }
        (ops, replies)
    }

    fn serve(&mut self, ops: Vec<Op>, replies: Vec<oneshot::Sender<Result<Answer, StoreError>>>) {
        match self.write(ops, false) {
            Ok(answers) => {
                for (reply, answer) in replies.into_iter().zip(answers) {
                    // A caller that went away has its entry all the same.
                    let _ = reply.send(Ok(answer));
                }
                if let Some(conn) = &self.conn {
                    self.backfill.advance(conn);
                }
            }
            Err(error) => {
                for reply in replies {
                    let _ = reply.send(Err(error.clone()));
                }
            }
        }
    }

    /// Writes one group and makes its effects visible, in that order.
    fn write(&mut self, ops: Vec<Op>, keep: bool) -> Result<Vec<Answer>, StoreError> {
        if self.conn.is_none() {
            self.reopen()?;
        }
        let Some(conn) = self.conn.as_mut() else { return Err(self.unavailable("the ledger is closed".to_owned())) };
        let requests = ops.len() as u64;
        let started = self.clock.monotonic_micros();
        let now: Timestamp = self.clock.now();
        match self.scribe.write(conn, &self.log, ops, now, keep) {
            Ok(committed) => {
                self.log = committed.log;
                self.backfill.wrote(committed.bytes);
                self.seen.checkpoint.send_replace(committed.checkpoint);
                self.seen.fault.send_if_modified(|fault| fault.take().is_some());
                if !committed.challenges.is_empty() {
                    self.seen.turned.send_replace(self.log.edge.frontier.size());
                }
                for id in committed.challenges {
                    let _ = self.seen.challenges.send(id);
                }
                let micros = self.clock.monotonic_micros().saturating_sub(started);
                self.seen.stats.committed(GroupCommit { requests, micros });
                Ok(committed.answers)
            }
            Err(Failed::RolledBack(error)) => Err(self.unavailable(error.to_string())),
            Err(Failed::Unknown(error)) => {
                // Closes it.
                self.conn = None;
                Err(self.unavailable(error.to_string()))
            }
        }
    }

    fn unavailable(&self, reason: String) -> StoreError {
        self.seen.stats.failed();
        self.seen.fault.send_replace(Some(reason.clone()));
        StoreError::Unavailable(reason)
    }

    /// Goes through the same verification as a start. What was acknowledged must be there.
    fn reopen(&mut self) -> Result<(), StoreError> {
        let now = self.clock.monotonic_micros();
        if now.saturating_sub(self.tried_at) < REOPEN_MICROS {
            let fault = self.seen.fault.borrow().clone();
            return Err(StoreError::Unavailable(fault.unwrap_or_else(|| "the ledger is being recovered".to_owned())));
        }
        self.tried_at = now;
        let recovered = match self.runtime.block_on(recover(&self.path, &self.reader, &self.verifier)) {
            Ok(recovered) => recovered,
            Err(error) => return Err(self.unavailable(error.to_string())),
        };
        let acknowledged = self.seen.checkpoint.borrow().clone();
        let size = recovered.checkpoint.size();
        if size < acknowledged.size()
            || (size == acknowledged.size() && recovered.checkpoint.root() != acknowledged.root())
        {
            return Err(self.unavailable(format!(
                "the ledger on disk has {size} entries, {} were acknowledged",
                acknowledged.size()
            )));
        }
        self.conn = Some(recovered.conn);
        self.log = recovered.log;
        self.seen.checkpoint.send_replace(recovered.checkpoint);
        self.seen.stats.recovered();
        Ok(())
    }

    /// Keeps a last checkpoint and moves everything from the write-ahead log into the file.
    fn finish(&mut self) -> Result<(), StoreError> {
        self.tried_at = 0;
        self.write(vec![Op::Probe], true)?;
        self.runtime.block_on(self.reader.close());
        self.backfill.finish();
        let Some(conn) = self.conn.take() else { return Ok(()) };
        let flushed = conn.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)");
        let closed = conn.close().map_err(|(_, error)| error);
        flushed.and(closed).map_err(|error| StoreError::Unavailable(error.to_string()))
    }
}
