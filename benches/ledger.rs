//! The ledger against its goals: `cargo bench --bench ledger`. Prints one line a figure; `ATB_BENCH_RECORDS` sets how many
//! records are verified (1,000,000).
//!
//! | figure | goal |
//! | --- | --- |
//! | append: tree and hash of one record | 15 µs |
//! | group commit, against a bare group-committed insert in the same run (sqlx) | 80 % |
//! | acknowledgement at 64 at once, p99 | 5 ms |
//! | bytes on disk of 100,000 records | 0.1 GB |
//! | verify 1,000,000 records | 10 s |

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::cast_precision_loss,
    reason = "a bench that cannot go on stops, and what it prints is its result"
)]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use atb::adapters::clock::SystemClock;
use atb::adapters::store::{OpenMode, SqliteStore};
use atb::domain::id::{DecisionId, EventId, Jti, Sha256Digest, WorkspaceId};
use atb::domain::ledger::{Entry, EventType, Frontier, LeafHash, LogKey, Subject};
use atb::service::auditor::{Start, verify_log};
use atb::service::ports::{Clock as _, Ledger as _};
use ed25519_dalek::SigningKey;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _};
use tokio::sync::{mpsc, oneshot};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Callers at once.
const CALLERS: u64 = 64;
/// Records of a round of the comparison.
const ROUND: u64 = 60_000;
/// Rounds of each kind, one after the other, so that both meet the same machine.
const ROUNDS: usize = 3;
/// Records in one commit, as the store groups them.
const GROUP: usize = 512;

fn fresh() -> [u8; 10] {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let mut bytes = [0; 10];
    bytes[2..].copy_from_slice(&NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes());
    bytes
}

/// The broker's yes to a call, as long as most entries are.
fn record() -> Entry {
    let at = SystemClock.now();
    Entry {
        event_id: EventId::new(at, fresh()),
        event_type: EventType::BrokerDecision,
        at,
        workspace: WorkspaceId::default(),
        subject: Subject {
            agent: Some("spiffe://example.org/agent/procurement".parse().unwrap()),
            act: Some("erp.order.create".parse().unwrap()),
            allow: Some(true),
            reason: Some("ok".to_owned()),
            decision_id: Some(DecisionId::new(at, fresh())),
            jti: Some(Jti::new(at, fresh())),
            template: Some("contract@1.0.0".to_owned()),
            connector: Some("erp".parse().unwrap()),
            path: Some("/orders".parse().unwrap()),
            request_digest: Some(Sha256Digest::of(b"request")),
            bundle: Some("2026-11-21.1".parse().unwrap()),
            bundle_digest: Some(Sha256Digest::of(b"bundle")),
            duration_us: Some(417),
            ..Subject::default()
        },
    }
}

fn main() {
    // `cargo bench` and `cargo test --benches` pass flags of their own harness.
    if std::env::args().any(|arg| arg == "--test" || arg == "--list") {
        return;
    }
    append();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(commits());
    runtime.block_on(verification());
}

fn goal(name: &str, figure: f64, unit: &str, met: bool, goal: &str) {
    println!("{name:<58} {figure:>10.2} {unit:<4} goal {goal:<9} {}", if met { "met" } else { "NOT MET" });
}

fn append() {
    const RECORDS: u32 = 200_000;
    let bodies: Vec<_> = (0..1000).map(|_| record().to_bytes()).collect();
    let mut tree = Frontier::new();
    let started = Instant::now();
    for body in bodies.iter().cycle().take(RECORDS as usize) {
        tree.append(LeafHash::of(body));
    }
    let each = started.elapsed().as_secs_f64() * 1e6 / f64::from(RECORDS);
    std::hint::black_box(tree.root());
    goal(&format!("append: tree and hash of a record of {} bytes", bodies[0].len()), each, "µs", each <= 15.0, "<= 15");
}

async fn commits() {
    let (mut ours, mut pooled, mut direct) = (Vec::new(), Vec::new(), Vec::new());
    let mut waits = Vec::new();
    for _ in 0..ROUNDS {
        let dir = tempfile::tempdir().unwrap();
        pooled.push(bare_inserts(bare_sqlx(&dir.path().join("sqlx.db")).await).await);
        direct.push(bare_inserts(bare_rusqlite(&dir.path().join("rusqlite.db"))).await);
        let (pace, mut took, bytes) = group_commits(&dir.path().join("ledger.db")).await;
        ours.push(pace);
        waits.append(&mut took);
        let per = bytes as f64 * 100_000.0 / ROUND as f64 / 1e9;
        goal("bytes of 100,000 records", per, "GB", per <= 0.1, "<= 0.1");
    }
    let (ours, pooled, direct) = (median(ours), median(pooled), median(direct));
    for (name, Pace { rate, each }) in
        [("group commit", &ours), ("bare insert, rusqlite", &direct), ("bare insert, sqlx in rows of 64", &pooled)]
    {
        println!("{name:<32} {rate:>8.0} records/s  {each:>6.1} µs of processor each  {CALLERS} at once");
    }
    // The other bare insert is the least that a record can cost: no columns, no tree, no hop between two threads.
    println!("group commit against the bare insert on rusqlite: {:.1} %", ours.rate / direct.rate * 100.0);
    let share = ours.rate / pooled.rate * 100.0;
    goal("group commit against a bare group-committed insert (sqlx)", share, "%", share >= 80.0, ">= 80");
    waits.sort_unstable();
    let p99 = waits[waits.len() * 99 / 100].as_secs_f64() * 1e3;
    goal("acknowledgement at 64 at once, p99", p99, "ms", p99 <= 5.0, "<= 5");
}

/// How fast, and at what cost: on a busy machine the second tells more.
struct Pace {
    /// Records a second.
    rate: f64,
    /// Microseconds of processor time a record, of all threads.
    each: f64,
}

impl Pace {
    fn of(records: u64, started: Instant, processor: Duration) -> Self {
        let records = records as f64;
        let each = (processor_time() - processor).as_secs_f64() * 1e6 / records;
        Self { rate: records / started.elapsed().as_secs_f64(), each }
    }
}

/// Of all threads of this process so far, in hundredths of a second (proc(5), `/proc/pid/stat`).
fn processor_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<_> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
    Duration::from_millis(10 * (fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()))
}

fn median(mut paces: Vec<Pace>) -> Pace {
    paces.sort_by(|a, b| a.rate.total_cmp(&b.rate));
    let middle = paces.len() / 2;
    paces.swap_remove(middle)
}

async fn open(path: &Path) -> SqliteStore {
    let key = LogKey::new(SigningKey::from_bytes(&[7; 32]));
    let origin = "bench.example/ledger".parse().unwrap();
    SqliteStore::open(path, OpenMode::Create, key, origin, Arc::new(SystemClock)).await.unwrap()
}

/// The pace, what each caller waited, and the file's size.
async fn group_commits(path: &Path) -> (Pace, Vec<Duration>, u64) {
    let store = Arc::new(open(path).await);
    let (started, processor) = (Instant::now(), processor_time());
    let caller = |store: Arc<SqliteStore>| async move {
        let mut took = Vec::new();
        for _ in 0..ROUND / CALLERS {
            let entry = record();
            let asked = Instant::now();
            store.record(entry).await.unwrap();
            took.push(asked.elapsed());
        }
        took
    };
    let callers: Vec<_> = (0..CALLERS).map(|_| tokio::spawn(caller(Arc::clone(&store)))).collect();
    let mut took = Vec::new();
    for caller in callers {
        took.append(&mut caller.await.unwrap());
    }
    let pace = Pace::of(took.len() as u64, started, processor);
    store.close().await.unwrap();
    (pace, took, std::fs::metadata(path).unwrap().len())
}

type Row = (Vec<u8>, oneshot::Sender<()>);

/// What a bare writer reads, and whether it has written all of it.
struct Bare {
    rows: mpsc::Sender<Row>,
    written: oneshot::Receiver<()>,
}

const BARE_TABLE: &str = "CREATE TABLE entry (seq INTEGER PRIMARY KEY, body BLOB NOT NULL) STRICT";

/// The pace of the least that a durable record takes: the same bytes in one column, one transaction a group.
async fn bare_inserts(Bare { rows, written }: Bare) -> Pace {
    let (started, processor) = (Instant::now(), processor_time());
    let caller = |rows: mpsc::Sender<Row>| async move {
        for _ in 0..ROUND / CALLERS {
            let body = record().to_bytes();
            let (reply, written) = oneshot::channel();
            rows.send((body, reply)).await.unwrap();
            written.await.unwrap();
        }
    };
    let callers: Vec<_> = (0..CALLERS).map(|_| tokio::spawn(caller(rows.clone()))).collect();
    for caller in callers {
        caller.await.unwrap();
    }
    let pace = Pace::of(ROUND / CALLERS * CALLERS, started, processor);
    drop(rows);
    written.await.unwrap();
    pace
}

/// On a thread of its own, a prepared statement run for each row: no hop between the statements of a group.
fn bare_rusqlite(path: &Path) -> Bare {
    let mut conn = rusqlite::Connection::open(path).unwrap();
    for (pragma, value) in [("journal_mode", "wal"), ("synchronous", "full"), ("wal_autocheckpoint", "4000")] {
        conn.pragma_update(None, pragma, value).unwrap();
    }
    conn.execute_batch(BARE_TABLE).unwrap();
    let (rows, mut queue) = mpsc::channel::<Row>(4096);
    let (done, written) = oneshot::channel();
    std::thread::spawn(move || {
        let mut seq = 0_i64;
        while let Some(first) = queue.blocking_recv() {
            std::thread::yield_now();
            let mut replies = Vec::new();
            let tx = conn.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).unwrap();
            let mut insert = tx.prepare_cached("INSERT INTO entry (seq, body) VALUES (?, ?)").unwrap();
            let mut next = Some(first);
            while let Some((body, reply)) = next {
                insert.execute(rusqlite::params![seq, body]).unwrap();
                replies.push(reply);
                seq += 1;
                next = if replies.len() < GROUP { queue.try_recv().ok() } else { None };
            }
            drop(insert);
            tx.commit().unwrap();
            for reply in replies {
                let _ = reply.send(());
            }
        }
        conn.close().unwrap();
        let _ = done.send(());
    });
    Bare { rows, written }
}

/// On sqlx, a statement of many rows at a time.
async fn bare_sqlx(path: &Path) -> Bare {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .pragma("wal_autocheckpoint", "4000")
        .statement_cache_capacity(512)
        .disable_statement_logging();
    let mut conn = options.connect().await.unwrap();
    sqlx::query(BARE_TABLE).execute(&mut conn).await.unwrap();
    let (rows, queue) = mpsc::channel(4096);
    let (done, written) = oneshot::channel();
    tokio::spawn(async move {
        bare_writer(conn, queue).await;
        let _ = done.send(());
    });
    Bare { rows, written }
}

async fn bare_writer(mut conn: SqliteConnection, mut queue: mpsc::Receiver<Row>) {
    let mut seq = 0_i64;
    while let Some(first) = queue.recv().await {
        tokio::task::yield_now().await;
        let mut group = vec![first];
        while group.len() < GROUP
            && let Ok(row) = queue.try_recv()
        {
            group.push(row);
        }
        let mut tx = conn.begin_with("BEGIN IMMEDIATE").await.unwrap();
        let (bodies, replies): (Vec<_>, Vec<_>) = group.into_iter().unzip();
        for part in bodies.chunks(64) {
            let text = format!("INSERT INTO entry (seq, body) VALUES {}", vec!["(?, ?)"; part.len()].join(", "));
            let mut query = sqlx::query(AssertSqlSafe(text));
            for body in part {
                query = query.bind(seq).bind(body.clone());
                seq += 1;
            }
            query.execute(&mut *tx).await.unwrap();
        }
        tx.commit().await.unwrap();
        for reply in replies {
            let _ = reply.send(());
        }
    }
    conn.close().await.unwrap();
}

async fn verification() {
    let records: u64 = std::env::var("ATB_BENCH_RECORDS").map_or(1_000_000, |text| text.parse().unwrap());
    if records == 0 {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(open(&dir.path().join("ledger.db")).await);
    let writer = |store: Arc<SqliteStore>| async move {
        for _ in 0..records / 1024 {
            store.record(record()).await.unwrap();
        }
    };
    let writers: Vec<_> = (0..1024).map(|_| tokio::spawn(writer(Arc::clone(&store)))).collect();
    for writer in writers {
        writer.await.unwrap();
    }
    let started = Instant::now();
    let report = verify_log(store.reader(), store.verifier(), &[], Start::Beginning).await.unwrap();
    let took = started.elapsed().as_secs_f64() * 1_000_000.0 / report.size as f64;
    assert!(report.is_intact(), "{:?}", report.findings);
    goal("verify 1,000,000 records", took, "s", took <= 10.0, "<= 10");
    store.close().await.unwrap();
}
