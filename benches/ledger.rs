//! The ledger against its goals: `cargo bench --bench ledger`. Prints one line a figure; `ATB_BENCH_RECORDS` sets how many
//! records are verified (1,000,000).
//!
//! | figure | goal |
//! | --- | --- |
//! | append: tree and hash of one record | 15 µs |
//! | group commit, against a bare group-committed insert in the same run | 80 % |
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
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    let mut waits = Vec::new();
    for _ in 0..ROUNDS {
        let dir = tempfile::tempdir().unwrap();
        bare.push(bare_inserts(&dir.path().join("bare.db")).await);
        let (rate, mut took, bytes) = group_commits(&dir.path().join("ledger.db")).await;
        ours.push(rate);
        waits.append(&mut took);
        let per = bytes as f64 * 100_000.0 / ROUND as f64 / 1e9;
        goal("bytes of 100,000 records", per, "GB", per <= 0.1, "<= 0.1");
    }
    let median = |rates: &mut Vec<f64>| {
        rates.sort_by(f64::total_cmp);
        rates[rates.len() / 2]
    };
    let (ours, bare) = (median(&mut ours), median(&mut bare));
    println!("group commit {ours:.0} records/s, bare insert {bare:.0} records/s, {CALLERS} at once");
    let share = ours / bare * 100.0;
    goal("group commit against a bare group-committed insert", share, "%", share >= 80.0, ">= 80");
    waits.sort_unstable();
    let p99 = waits[waits.len() * 99 / 100].as_secs_f64() * 1e3;
    goal("acknowledgement at 64 at once, p99", p99, "ms", p99 <= 5.0, "<= 5");
}

async fn open(path: &Path) -> SqliteStore {
    let key = LogKey::new(SigningKey::from_bytes(&[7; 32]));
    let origin = "bench.example/ledger".parse().unwrap();
    SqliteStore::open(path, OpenMode::Create, key, origin, Arc::new(SystemClock)).await.unwrap()
}

/// Records a second, what each caller waited, and the file's size.
async fn group_commits(path: &Path) -> (f64, Vec<Duration>, u64) {
    let store = Arc::new(open(path).await);
    let started = Instant::now();
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
    let rate = took.len() as f64 / started.elapsed().as_secs_f64();
    store.close().await.unwrap();
    (rate, took, std::fs::metadata(path).unwrap().len())
}

type Row = (Vec<u8>, oneshot::Sender<()>);

/// The least that a durable record takes: the same bytes, one column, one transaction a group, the same settings.
async fn bare_inserts(path: &Path) -> f64 {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .pragma("wal_autocheckpoint", "4000")
        .statement_cache_capacity(512)
        .disable_statement_logging();
    let mut conn = options.connect().await.unwrap();
    sqlx::query("CREATE TABLE entry (seq INTEGER PRIMARY KEY, body BLOB NOT NULL) STRICT")
        .execute(&mut conn)
        .await
        .unwrap();
    let (rows, queue) = mpsc::channel(4096);
    let writer = tokio::spawn(bare_writer(conn, queue));
    let started = Instant::now();
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
    let rate = (ROUND / CALLERS * CALLERS) as f64 / started.elapsed().as_secs_f64();
    drop(rows);
    writer.await.unwrap();
    rate
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
