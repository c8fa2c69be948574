//! Questions to a long record: `cargo bench --bench audit`. One agent's last 30 days may take a second in ten million
//! records; `ATB_BENCH_RECORDS` says how many there are (default 1,000,000; ten million take about 9 GB in the folder for
//! temporary files).
//!
//! The rows are put into the file directly, as the writer would have written them in 90 days: a thousand agents, a
//! checkpoint a minute. The log is not signed over them; nothing here verifies it.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a bench that cannot go on stops; criterion makes undocumented items"
)]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use atb::adapters::clock::SystemClock;
use atb::adapters::store::{OpenMode, SqliteReader, SqliteStore};
use atb::domain::catalogue::Tier;
use atb::domain::id::{DecisionId, EventId, Jti, Sha256Digest};
use atb::domain::ledger::{Entry, EventType, LeafHash, LogKey, Subject};
use atb::domain::time::Timestamp;
use atb::service::auditor::{BLOCK, Columns, Tag, Tags};
use atb::service::ports::{AuditLog as _, AuditQuestion, Order};
use criterion::{Criterion, criterion_group, criterion_main};
use ed25519_dalek::SigningKey;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _};
use tokio::runtime::Runtime;

const AGENTS: u64 = 1000;
const DAY: u64 = 86_400_000;
const START: u64 = 1_785_000_000_000;
const SPAN: u64 = 90 * DAY;

fn records() -> u64 {
    std::env::var("ATB_BENCH_RECORDS").ok().map_or(1_000_000, |text| text.parse().expect("ATB_BENCH_RECORDS"))
}

/// Ten bytes that no other `n` gives.
fn random(n: u64, kind: u8) -> [u8; 10] {
    let mut bytes = [kind; 10];
    bytes[..8].copy_from_slice(&n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    bytes
}

fn entry(n: u64, at: Timestamp) -> Entry {
    let denied = n.is_multiple_of(17);
    // Agents as they come: some often, in no order.
    let agent = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    let subject = Subject {
        agent: format!("spiffe://example.org/agent/worker-{:04}", agent % AGENTS).parse().ok(),
        act: ["erp.order.read", "erp.vendor.change", "crm.lead.read"][usize::try_from(n % 3).unwrap()].parse().ok(),
        tier: Some(Tier::ALL[usize::try_from(n % 4).unwrap()]),
        risk_score: (n % 101).try_into().ok(),
        allow: Some(!denied),
        reason: Some(if denied { "not_covered" } else { "ok" }.to_owned()),
        decision_id: Some(DecisionId::new(at, random(n, 1))),
        jti: Some(Jti::new(at, random(n, 2))),
        connector: "erp".parse().ok(),
        path: "/orders/4711".parse().ok(),
        request_digest: Some(Sha256Digest::of(&n.to_be_bytes())),
        bundle: "2026.11.3".parse().ok(),
        bundle_digest: Some(Sha256Digest::of(b"bundle")),
        duration_us: Some(800),
        ..Subject::default()
    };
    let event_id = EventId::new(at, random(n, 3));
    Entry { event_id, event_type: EventType::BrokerDecision, at, workspace: Default::default(), subject }
}

async fn fill(path: &Path, records: u64) {
    let store = SqliteStore::open(
        path,
        OpenMode::Create,
        LogKey::new(SigningKey::from_bytes(&[9; 32])),
        "atb.test/bench".parse().unwrap(),
        Arc::new(SystemClock),
    );
    store.await.unwrap().close().await.unwrap();
    let options = SqliteConnectOptions::new().filename(path);
    let options = options.journal_mode(SqliteJournalMode::Memory).synchronous(SqliteSynchronous::Off);
    let mut conn = options.pragma("cache_size", "-262144").connect().await.unwrap();
    // Indexes are made at the end, in one pass each.
    let indexes: Vec<(String, String)> =
        sqlx::query_as("SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND tbl_name = 'entry'")
            .fetch_all(&mut conn)
            .await
            .unwrap();
    for (name, _) in &indexes {
        sqlx::query(AssertSqlSafe(format!("DROP INDEX {name}"))).execute(&mut conn).await.unwrap();
    }
    let (parts, mut made) = tokio::sync::mpsc::channel(4);
    let maker = std::thread::spawn(move || {
        for first in (0..records).step_by(PART) {
            let part: Vec<Row> = (first..(first + PART as u64).min(records)).map(|n| row(n, records)).collect();
            parts.blocking_send(part).unwrap();
        }
    });
    let mut checkpoint = 0;
    let mut block = Vec::new();
    let mut tx = conn.begin().await.unwrap();
    while let Some(part) = made.recv().await {
        let (last, at) = part.last().map(|row| (row.seq, row.at)).unwrap();
        for row in &part {
            block.push(Tags::of(&Columns::of(&row.entry)));
            if block.len() as u64 == BLOCK {
                insert_tags(&mut tx, row.seq / BLOCK as i64, &block).await;
                block.clear();
            }
        }
        insert(&mut tx, part).await;
        // One a minute of the 90 days, as far as the parts of a short record are apart.
        if at >= checkpoint + 60_000 {
            checkpoint = at;
            let kept =
                "INSERT OR REPLACE INTO checkpoint (size, at_ms, frontier, note) VALUES (?, ?, zeroblob(300), '')";
            sqlx::query(kept).bind(last + 1).bind(at).execute(&mut *tx).await.unwrap();
        }
        if last % 100_000 < PART as i64 {
            tx.commit().await.unwrap();
            tx = conn.begin().await.unwrap();
        }
    }
    tx.commit().await.unwrap();
    maker.join().unwrap();
    for (_, sql) in indexes {
        sqlx::query(AssertSqlSafe(sql)).execute(&mut conn).await.unwrap();
    }
    conn.close().await.unwrap();
}

/// Rows of one statement; a checkpoint is kept behind them.
const PART: usize = 100;

struct Row {
    seq: i64,
    at: i64,
    entry: Entry,
    body: Vec<u8>,
    leaf: Vec<u8>,
}

fn row(n: u64, records: u64) -> Row {
    let at = START + u64::try_from(u128::from(SPAN) * u128::from(n) / u128::from(records)).unwrap();
    let entry = entry(n, Timestamp::from_millis(at));
    let body = entry.to_bytes();
    let leaf = LeafHash::of(&body).as_bytes().to_vec();
    Row { seq: i64::try_from(n).unwrap(), at: i64::try_from(at).unwrap(), entry, body, leaf }
}

async fn insert(tx: &mut SqliteConnection, rows: Vec<Row>) {
    let values = vec!["(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"; rows.len()].join(", ");
    let mut query = sqlx::query(AssertSqlSafe(format!(
        "INSERT INTO entry (seq, event_type, at_ms, agent, act, reason, jti, decision_id, workspace, body, leaf) \
         VALUES {values}"
    )));
    for row in rows {
        let subject = &row.entry.subject;
        query = query
            .bind(row.seq)
            .bind(row.entry.event_type.as_str())
            .bind(row.at)
            .bind(subject.agent.as_ref().map(ToString::to_string))
            .bind(subject.act.as_ref().map(ToString::to_string))
            .bind(subject.reason.clone())
            .bind(subject.jti.map(|id| id.as_bytes().to_vec()))
            .bind(subject.decision_id.map(|id| id.as_bytes().to_vec()))
            .bind(row.entry.workspace.to_string())
            .bind(row.body)
            .bind(row.leaf);
    }
    query.execute(tx).await.unwrap();
}

/// As the writer does with each full block.
async fn insert_tags(tx: &mut SqliteConnection, index: i64, block: &[Tags]) {
    type Part = fn(&Tags) -> Tag;
    let parts: [(_, Part); 3] =
        [("agent_tags", |tags| tags.agent), ("jti_tags", |tags| tags.jti), ("decision_tags", |tags| tags.decision)];
    for (table, part) in parts {
        let bytes: Vec<u8> = block.iter().flat_map(|tags| *part(tags).as_bytes()).collect();
        let text = format!("INSERT INTO {table} (idx, tags) VALUES (?, ?)");
        sqlx::query(AssertSqlSafe(text)).bind(index).bind(bytes).execute(&mut *tx).await.unwrap();
    }
}

/// Every page of a question; how many entries there were.
async fn all(reader: &SqliteReader, query: &str, order: Order) -> usize {
    let (mut found, mut from) = (0, None);
    loop {
        let question = AuditQuestion { query: query.parse().unwrap(), order, from, limit: 1000 };
        let page = reader.page(&question).await.unwrap();
        found += page.items.len();
        from = Some(page.seen);
        if !page.more {
            return found;
        }
    }
}

fn questions(c: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ledger.db");
    let records = records();
    runtime.block_on(fill(&path, records));
    let reader = runtime.block_on(SqliteReader::open(&path)).unwrap();
    let since = Timestamp::from_millis(START + SPAN - 30 * DAY);
    let mut group = c.benchmark_group(format!("audit of {records} records"));
    group.sample_size(10).measurement_time(Duration::from_secs(10));
    for (name, query) in [
        ("one agent, 30 days", format!("agent=spiffe://example.org/agent/worker-0007 since={since}")),
        (
            "one agent's denials, 30 days",
            format!("agent=spiffe://example.org/agent/worker-0007 decision=deny since={since}"),
        ),
        ("one mandate", format!("jti={}", row(records / 3, records).entry.subject.jti.unwrap())),
    ] {
        let found = runtime.block_on(all(&reader, &query, Order::Newest));
        assert!(found > 0, "{query} finds nothing");
        note(&format!("{name}: {found} entries"));
        group.bench_function(name, |b| b.to_async(&runtime).iter(|| all(&reader, &query, Order::Newest)));
    }
    // One page, which is what a person waits for.
    for (name, query) in
        [("first page of denials", "decision=deny risk=60.."), ("first page of nothing", "tier=low connector=none")]
    {
        let question = AuditQuestion { query: query.parse().unwrap(), order: Order::Newest, from: None, limit: 100 };
        group.bench_function(name, |b| b.to_async(&runtime).iter(|| reader.page(&question)));
    }
    group.finish();
    runtime.block_on(reader.close());
}

fn note(text: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr(), "{text}");
}

criterion_group!(benches, questions);
criterion_main!(benches);
