//! The store: opening and closing it, and the two ports over the writer's queue and the reader.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use async_trait::async_trait;
use tokio::runtime::Handle;
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::time::{Instant, timeout_at};

use super::backfill::Backfill;
use super::life::Succession;
use super::lock::ExclusiveLock;
use super::op::{Answer, Op, Prepared};
use super::reader::SqliteReader;
use super::rows::{ChallengeRow, PRUNE_ROWS};
use super::schema::{self, OpenError};
use super::scribe::Scribe;
use super::stats::StoreStats;
use super::writer::{self, Request, Seen, Writer};
use crate::domain::approval::{Challenge, Summary};
use crate::domain::id::{ChallengeId, DecisionId};
use crate::domain::ledger::{CallKey, Checkpoint, Entry, LogKey, LogVerifier, Openings, Origin, Receipt};
use crate::domain::time::Timestamp;
use crate::service::ports::{
    AdvanceError, AllowedCalls, Burn, BurnError, ChallengeQuery, Challenges, Clock, EntryFilter, Ledger, StoreError,
    Stored, Viewer,
};

/// Requests that wait for the writer; four full groups and more.
const QUEUE: usize = 4096;
/// How long a caller waits for a place in the queue.
const QUEUE_WAIT: Duration = Duration::from_millis(250);
/// Challenge changes that a waiter may miss before it looks for itself.
const CHANGES: usize = 256;

/// Whether a ledger is expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenMode {
    /// There is none: make it. Refused when there is one.
    Create,
    /// There is one. Never makes one: a ledger that vanished must not be replaced by an empty one.
    Existing,
}

/// The ledger and the challenges in one SQLite file.
pub struct SqliteStore {
    requests: mpsc::Sender<Request>,
    pub(super) reader: SqliteReader,
    pub(super) seen: Arc<Seen>,
    verifier: LogVerifier,
}

impl SqliteStore {
    /// Opens the ledger at `path`, verifies its end (all of a small one) and starts the writer.
    ///
    /// # Errors
    /// When the file is missing or in the way, in use, of another kind or version, unreadable or not writable, or when
    /// the log in it is not what was signed.
    pub async fn open(
        path: &Path,
        mode: OpenMode,
        key: LogKey,
        origin: Origin,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, OpenError> {
        if mode == OpenMode::Existing && !path.is_file() {
            return Err(OpenError::Missing(path.to_owned()));
        }
        let lock = ExclusiveLock::take(path)?;
        if mode == OpenMode::Create {
            schema::create(path, &key, &origin).await?;
        }
        let verifier = key.verifier(&origin);
        let reader = SqliteReader::lazy(path, false);
        let recovered = writer::recover(path, &reader, &verifier).await?;
        let scribe = Scribe::new(key, origin);
        let seen = Arc::new(Seen {
            checkpoint: watch::Sender::new(recovered.checkpoint),
            fault: watch::Sender::new(None),
            challenges: broadcast::Sender::new(CHANGES),
            turned: watch::Sender::new(0),
            stats: Arc::default(),
            #[cfg(test)]
            faults: Arc::clone(&scribe.faults),
        });
        let (requests, queue) = mpsc::channel(QUEUE);
        let writer = Writer {
            path: path.to_owned(),
            scribe,
            verifier: verifier.clone(),
            reader: reader.clone(),
            clock,
            seen: Arc::clone(&seen),
            requests: queue,
            conn: Some(recovered.conn),
            log: recovered.log,
            backfill: Backfill::of(path),
            runtime: Handle::current(),
            tried_at: 0,
            _lock: lock,
        };
        let thread = thread::Builder::new().name("atb-ledger".to_owned());
        thread.spawn(move || writer.run()).map_err(|error| OpenError::unusable(path, error))?;
        let store = Self { requests, reader, seen, verifier };
        // A ledger that can be read and not written is found out here and not by the first caller.
        store.ask(Op::Probe).await.map_err(|error| OpenError::unusable(path, error))?;
        Ok(store)
    }

    /// What others verify this log's checkpoints with.
    pub fn verifier(&self) -> &LogVerifier {
        &self.verifier
    }

    /// For proofs and verification.
    pub fn reader(&self) -> &SqliteReader {
        &self.reader
    }

    /// Counters, and a place for an observer of every commit.
    pub fn stats(&self) -> &Arc<StoreStats> {
        &self.seen.stats
    }

    /// Requests that wait for the writer.
    pub fn queue_depth(&self) -> usize {
        self.requests.max_capacity() - self.requests.capacity()
    }

    /// Writes what is queued, keeps a last checkpoint, and closes the file. Later requests are refused.
    ///
    /// # Errors
    /// When what was queued or the last checkpoint could not be written.
    pub async fn close(&self) -> Result<(), StoreError> {
        let (reply, closed) = oneshot::channel();
        self.requests.send(Request::Close(reply)).await.map_err(|_| stopped())?;
        closed.await.map_err(|_| stopped())?
    }

    pub(super) async fn ask(&self, op: Op) -> Result<Answer, StoreError> {
        let (reply, answer) = oneshot::channel();
        let sent = self.requests.send_timeout(Request::Do(Box::new(op), reply), QUEUE_WAIT).await;
        sent.map_err(|error| match error {
            mpsc::error::SendTimeoutError::Timeout(_) => StoreError::Busy,
            mpsc::error::SendTimeoutError::Closed(_) => stopped(),
        })?;
        answer.await.map_err(|_| stopped())?
    }

    pub(super) async fn append(&self, op: Op) -> Result<Receipt, StoreError> {
        match self.ask(op).await? {
            Answer::Written(receipt) => Ok(receipt),
            other => Err(unexpected(&other)),
        }
    }

    pub(super) async fn change(&self, op: Op) -> Result<Receipt, AdvanceError> {
        match self.ask(op).await? {
            Answer::Written(receipt) => Ok(receipt),
            Answer::Conflict => Err(AdvanceError::Conflict),
            other => Err(unexpected(&other).into()),
        }
    }
}

fn stopped() -> StoreError {
    StoreError::Unavailable("the ledger is closed".to_owned())
}

/// INVARIANT: the writer answers in the order of requests, each with its own kind. Fails closed should it not.
pub(super) fn unexpected(answer: &Answer) -> StoreError {
    StoreError::Unavailable(format!("the writer gave another request's answer: {answer:?}"))
}

#[async_trait]
impl Ledger for SqliteStore {
    async fn record(&self, entry: Entry) -> Result<Receipt, StoreError> {
        self.append(Op::Record(Prepared::of(entry)?)).await
    }

    async fn burn_and_record(&self, burn: Burn, spent: Entry, replayed: Entry) -> Result<Receipt, BurnError> {
        let op = Op::Burn { burn, spent: Prepared::of(spent)?, replayed: Box::new(Prepared::of(replayed)?) };
        match self.ask(op).await? {
            Answer::Written(receipt) => Ok(receipt),
            Answer::Replayed(receipt) => Err(BurnError::Replayed(receipt)),
            other => Err(unexpected(&other).into()),
        }
    }

    async fn record_unmandated(&self, decision: DecisionId, allowed: Entry) -> Result<Receipt, StoreError> {
        self.append(Op::Call { decision, allowed: Prepared::of(allowed)? }).await
    }

    async fn record_outcome(&self, call: CallKey, outcome: Entry) -> Result<Receipt, StoreError> {
        self.append(Op::Outcome { call, outcome: Prepared::of(outcome)? }).await
    }

    async fn calls_in_doubt(&self) -> Result<Vec<(CallKey, Entry)>, StoreError> {
        self.reader.calls_in_doubt().await
    }

    async fn allowed_calls(&self, since: Timestamp, now: Timestamp) -> Result<Vec<AllowedCalls>, StoreError> {
        self.reader.allowed_calls(since, now).await
    }

    async fn prune_burned(&self, now: Timestamp) -> Result<u64, StoreError> {
        let mut pruned = 0;
        loop {
            let Answer::Pruned(rows) = self.ask(Op::Prune { now }).await? else { return Ok(pruned) };
            pruned += rows;
            if rows < u64::from(PRUNE_ROWS) {
                return Ok(pruned);
            }
        }
    }

    async fn checkpoint(&self) -> Result<Checkpoint, StoreError> {
        Ok(self.seen.checkpoint.borrow().clone())
    }

    async fn entries(&self, from: u64, limit: u32, filter: &EntryFilter) -> Result<Vec<(u64, Vec<u8>)>, StoreError> {
        self.reader.entries(from, limit, filter).await
    }

    async fn openings(&self, first: u64, last: u64) -> Result<BTreeMap<u64, Openings>, StoreError> {
        self.reader.openings(first, last).await
    }

    async fn writable(&self) -> Result<(), StoreError> {
        if self.requests.is_closed() {
            return Err(stopped());
        }
        if self.requests.capacity() == 0 {
            return Err(StoreError::Busy);
        }
        if self.seen.fault.borrow().is_none() {
            return Ok(());
        }
        // The last write failed: whether the next one would succeed is only known by trying.
        self.ask(Op::Probe).await.map(|_| ())
    }
}

#[async_trait]
impl Challenges for SqliteStore {
    async fn open(&self, challenge: &Challenge, entry: Entry) -> Result<Receipt, AdvanceError> {
        self.change(Op::Open { row: ChallengeRow::of(challenge)?, entry: Prepared::of(entry)? }).await
    }

    async fn find(&self, id: ChallengeId) -> Result<Option<Stored<Challenge>>, StoreError> {
        self.reader.find(id).await
    }

    async fn advance(&self, version: u64, next: &Challenge, entry: Entry) -> Result<Receipt, AdvanceError> {
        self.change(Op::Advance { version, row: ChallengeRow::of(next)?, entry: Prepared::of(entry)? }).await
    }

    async fn succeed(
        &self,
        version: u64,
        earlier: &Challenge,
        next: &Challenge,
        entry: Entry,
    ) -> Result<Receipt, AdvanceError> {
        let (earlier, row) = (ChallengeRow::of(earlier)?, ChallengeRow::of(next)?);
        let succession = Succession { version, earlier, row, entry: Prepared::of(entry)? };
        self.change(Op::Succeed(Box::new(succession))).await
    }

    async fn overdue(&self, now: Timestamp, limit: u32) -> Result<Vec<Stored<Challenge>>, StoreError> {
        self.reader.overdue(now, limit).await
    }

    async fn list(&self, query: &ChallengeQuery) -> Result<Vec<Stored<Summary>>, StoreError> {
        self.reader.list(query).await
    }

    async fn turns(&self, from: u64, limit: u32, viewer: &Viewer) -> Result<Vec<(u64, Entry, Summary)>, StoreError> {
        self.reader.turns(from, limit, viewer).await
    }

    async fn moved(&self, entries: u64, millis: u64) {
        let mut turned = self.seen.turned.subscribe();
        let _ =
            timeout_at(Instant::now() + Duration::from_millis(millis), turned.wait_for(|size| *size > entries)).await;
    }

    async fn changed(&self, id: ChallengeId, version: u64, millis: u64) {
        let deadline = Instant::now() + Duration::from_millis(millis);
        // Listening starts before looking, so that a change in between is heard.
        let mut changes = self.seen.challenges.subscribe();
        loop {
            if matches!(self.reader.version(id).await, Ok(Some(found)) if found != version) {
                return;
            }
            loop {
                match timeout_at(deadline, changes.recv()).await {
                    Err(_) | Ok(Err(broadcast::error::RecvError::Closed)) => return,
                    Ok(Ok(changed)) if changed != id => {}
                    // This challenge, or so many others that it may have been missed: look again.
                    Ok(_) => break,
                }
            }
        }
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore").field("origin", self.verifier.origin()).finish_non_exhaustive()
    }
}
