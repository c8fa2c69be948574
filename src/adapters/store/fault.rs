//! For tests: commits that fail, seem to fail, or take long; and what holds whatever they do.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ed25519_dalek::SigningKey;
use rusqlite::ffi;

use super::transaction::{Failed, Transaction};
use super::{OpenMode, SqliteReader, SqliteStore};
use crate::domain::id::{DecisionId, EventId, Jti, WorkspaceId};
use crate::domain::ledger::query::Query;
use crate::domain::ledger::{CallKey, Entry, EventType, LogKey, Subject};
use crate::domain::time::Timestamp;
use crate::service::auditor::{Start, verify_log};
use crate::service::ports::{
    AuditLog as _, AuditQuestion, Burn, BurnError, Clock, EntryFilter, Ledger as _, Order, StoreError,
};

/// What happens to a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// The answer is an error, and nothing of it is on disk.
    NotPersisted,
    /// The answer is an error, and all of it is on disk.
    Persisted,
    /// The disk takes so long.
    Slow(Duration),
}

/// What happens to the next commits, one after the other; nothing, where there is nothing left.
#[derive(Debug, Default)]
pub(super) struct Faults(Mutex<VecDeque<Fault>>);

impl Faults {
    /// Commits `tx`, or does not.
    pub(super) fn strike(&self, tx: Transaction<'_>) -> Result<(), Failed> {
        let next = self.0.lock().unwrap().pop_front();
        let failed = || rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_IOERR_FSYNC), None);
        match next {
            None => tx.commit(),
            Some(Fault::Slow(by)) => {
                std::thread::sleep(by);
                tx.commit()
            }
            Some(Fault::Persisted) => {
                tx.commit()?;
                Err(Failed::Unknown(failed()))
            }
            Some(Fault::NotPersisted) => match tx.fail(failed()) {
                Failed::RolledBack(error) | Failed::Unknown(error) => Err(Failed::Unknown(error)),
            },
        }
    }

    fn plan(&self, faults: impl IntoIterator<Item = Fault>) {
        self.0.lock().unwrap().extend(faults);
    }
}

/// A clock that is set.
#[derive(Debug)]
struct SetClock(AtomicU64, Instant);

impl SetClock {
    fn at(secs: u64) -> Arc<Self> {
        Arc::new(Self(AtomicU64::new(secs * 1000), Instant::now()))
    }

    fn set(&self, secs: u64) {
        self.0.store(secs * 1000, Ordering::Relaxed);
    }
}

impl Clock for SetClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::Relaxed))
    }

    fn monotonic_micros(&self) -> u64 {
        u64::try_from(self.1.elapsed().as_micros()).unwrap()
    }
}

const NOW: u64 = 1_790_000_000;

fn fresh() -> [u8; 10] {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let mut bytes = [0; 10];
    bytes[2..].copy_from_slice(&NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes());
    bytes
}

fn entry(event_type: EventType, jti: Option<Jti>, at: Timestamp) -> Entry {
    let subject = Subject {
        agent: "spiffe://atb.test/agent/buyer".parse().ok(),
        act: "erp.order.read".parse().ok(),
        allow: Some(event_type == EventType::BrokerDecision),
        decision_id: Some(DecisionId::new(at, fresh())),
        reason: Some("ok".to_owned()),
        jti,
        ..Subject::default()
    };
    let event_id = EventId::new(at, fresh());
    Entry { event_id, event_type, at, workspace: WorkspaceId::default(), subject }
}

async fn spend(store: &SqliteStore, jti: Jti, at: Timestamp) -> Result<(), BurnError> {
    let burn = Burn { jti, challenge: None, keep_until: at.plus(Duration::from_secs(330)), calls: false };
    let spent = entry(EventType::BrokerDecision, Some(jti), at);
    let decision = spent.subject.decision_id.unwrap();
    let replayed = entry(EventType::PoaSingleUseReplayBlocked, Some(jti), at);
    let receipt = store.burn_and_record(burn, spent, replayed).await?;
    assert!(receipt.proves_permission(CallKey::Mandate(jti), decision));
    Ok(())
}

async fn open(folder: &tempfile::TempDir, mode: OpenMode, clock: &Arc<SetClock>) -> SqliteStore {
    let key = LogKey::new(SigningKey::from_bytes(&[7; 32]));
    let origin = "atb.test/faults".parse().unwrap();
    let clock: Arc<dyn Clock> = clock.clone();
    SqliteStore::open(&folder.path().join("ledger.db"), mode, key, origin, clock).await.unwrap()
}

async fn assert_intact(folder: &tempfile::TempDir, store: &SqliteStore) -> Vec<Entry> {
    let verifier = store.verifier().clone();
    store.close().await.unwrap();
    let reader = SqliteReader::open(&folder.path().join("ledger.db")).await.unwrap();
    let report = verify_log(&reader, &verifier, &[], Start::Beginning).await.unwrap();
    assert!(report.is_intact(), "{:?}", report.findings);
    let rows = reader.entries(0, 100_000, &EntryFilter::default()).await.unwrap();
    reader.close().await;
    rows.iter().map(|(_, body)| serde_json::from_slice(body).unwrap()).collect()
}

/// Asks until the ledger has recovered, which nobody helps it with.
async fn recovered(store: &SqliteStore) {
    let started = Instant::now();
    while store.writable().await.is_err() {
        assert!(started.elapsed() < Duration::from_secs(30), "the ledger does not recover");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn faults_in_pairs_give_no_allow_without_its_record_and_recover_without_a_person() {
    use Fault::{NotPersisted, Persisted};
    for pair in [[NotPersisted, NotPersisted], [NotPersisted, Persisted], [Persisted, NotPersisted], [Persisted; 2]] {
        let folder = tempfile::tempdir().unwrap();
        let clock = SetClock::at(NOW);
        let store = open(&folder, OpenMode::Create, &clock).await;
        let at = clock.now();
        let before = Jti::new(at, fresh());
        spend(&store, before, at).await.unwrap();
        let mut struck = Vec::new();
        for fault in pair {
            store.seen.faults.plan([fault]);
            let jti = Jti::new(at, fresh());
            let answer = spend(&store, jti, at).await;
            assert!(matches!(answer, Err(BurnError::Store(StoreError::Unavailable(_)))), "{fault:?}: {answer:?}");
            struck.push((fault, jti));
            recovered(&store).await;
        }
        // What is on disk is spent, what is not can be spent once.
        for (fault, jti) in &struck {
            match (fault, spend(&store, *jti, at).await) {
                (Persisted, Err(BurnError::Replayed(_))) | (NotPersisted, Ok(())) => {}
                (fault, answer) => panic!("{pair:?}, {fault:?}: {answer:?}"),
            }
            assert!(matches!(spend(&store, *jti, at).await, Err(BurnError::Replayed(_))));
        }
        assert!(matches!(spend(&store, before, at).await, Err(BurnError::Replayed(_))));
        assert_eq!(store.stats().recoveries(), 2);
        let entries = assert_intact(&folder, &store).await;
        let allows = entries.iter().filter(|entry| entry.event_type == EventType::BrokerDecision).count();
        assert_eq!(allows, 3, "{pair:?}: each mandate was spent once");
    }
}

#[tokio::test]
async fn on_a_slow_disk_what_is_answered_is_on_record_and_what_is_too_much_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let clock = SetClock::at(NOW);
    let store = Arc::new(open(&folder, OpenMode::Create, &clock).await);
    store.seen.faults.plan([Fault::Slow(Duration::from_millis(1500)); 3]);
    let at = clock.now();
    // More than the queue and a group hold while the first commit takes longer than callers wait for a place.
    let tasks: Vec<_> = (0..6000)
        .map(|_| {
            let store = Arc::clone(&store);
            tokio::spawn(async move { store.record(entry(EventType::PoaDenied, None, at)).await })
        })
        .collect();
    let (mut answered, mut refused) = (0, 0);
    for task in tasks {
        match task.await.unwrap() {
            Ok(_) => answered += 1,
            Err(StoreError::Busy) => refused += 1,
            Err(error) => panic!("{error}"),
        }
    }
    assert!(answered >= 4096 && refused > 0, "{answered} answered, {refused} refused");
    assert_eq!(assert_intact(&folder, &store).await.len(), answered);
}

#[tokio::test]
async fn a_clock_that_is_moved_an_hour_either_way_loses_nothing_and_lets_nothing_through_twice() {
    let folder = tempfile::tempdir().unwrap();
    let clock = SetClock::at(NOW);
    let store = open(&folder, OpenMode::Create, &clock).await;
    let mut spent = Vec::new();
    for moved in [NOW, NOW + 3600, NOW - 3600, NOW + 60] {
        clock.set(moved);
        let at = clock.now();
        for _ in 0..3 {
            let jti = Jti::new(at, fresh());
            spend(&store, jti, at).await.unwrap();
            spent.push(jti);
        }
        // As the services do it, which leaves two hours.
        store.prune_burned(at.minus(Duration::from_secs(7200))).await.unwrap();
    }
    store.close().await.unwrap();
    let store = open(&folder, OpenMode::Existing, &clock).await;
    for jti in &spent {
        assert!(matches!(spend(&store, *jti, clock.now()).await, Err(BurnError::Replayed(_))));
    }
    // By the time on the entry, wherever it stands in the log.
    for (since, expected) in [(NOW + 3600, 3), (NOW + 60, 6), (NOW, 9), (NOW - 3600, 12)] {
        let query = Query {
            since: Some(Timestamp::from_secs(since)),
            event_types: vec![EventType::BrokerDecision],
            ..Query::default()
        };
        let question = AuditQuestion { query, order: Order::Oldest, from: None, limit: 100 };
        assert_eq!(store.page(&question).await.unwrap().items.len(), expected, "since {since}");
    }
    assert_intact(&folder, &store).await;
}
