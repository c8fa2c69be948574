//! What the ledger survives and what it notices: kill -9, full and read-only disks, a second process, other people's
//! files, and every kind of tampering with the file at rest.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests' helpers")]

use std::collections::HashSet;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use atb::adapters::store::{OpenError, OpenMode, SqliteReader, SqliteStore};
use atb::domain::id::Jti;
use atb::domain::ledger::{Entry, EventType, LogKey};
use atb::service::auditor::{Start, Tampering, verify_log};
use atb::service::ports::{BurnError, EntryFilter, Ledger as _, StoreError};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _};

use crate::store_contract::{TestClock, burn, entry, key, new_jti, open, origin, spend};

// ---- children: this test binary again, running one of the functions named `child_…` ----

const CHILD: &str = "ATB_TEST_CHILD_LEDGER";

fn child_ledger() -> Option<PathBuf> {
    std::env::var_os(CHILD).map(PathBuf::from)
}

fn child(name: &str, ledger: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", &format!("faults_store::{name}"), "--nocapture", "--test-threads=1"]);
    command.env(CHILD, ledger).stdout(Stdio::piped()).stderr(Stdio::inherit());
    command
}

fn acknowledged(child: &mut Child, at_least: usize) -> (HashSet<Jti>, BufReader<std::process::ChildStdout>) {
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut acks = HashSet::new();
    while acks.len() < at_least {
        let mut line = String::new();
        assert_ne!(output.read_line(&mut line).unwrap(), 0, "the child ended early");
        acks.extend(ack(&line));
    }
    (acks, output)
}

/// The child's harness may print before the acknowledgement on the same line.
fn ack(line: &str) -> Option<Jti> {
    line.trim_end().rsplit_once("ack ").map(|(_, jti)| jti.parse().unwrap())
}

#[test]
fn child_writes_until_it_is_killed() {
    let Some(path) = child_ledger() else { return };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let store = Arc::new(open(&path, OpenMode::Existing).await.unwrap());
        for _ in 0..32 {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                loop {
                    let jti = new_jti();
                    spend(&*store, burn(jti, None)).await.unwrap();
                    writeln!(std::io::stdout().lock(), "ack {jti}").unwrap();
                }
            });
        }
        std::future::pending::<()>().await;
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_9_under_load_loses_nothing_that_was_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ledger.db");
    open(&path, OpenMode::Create).await.unwrap().close().await.unwrap();
    let mut known = HashSet::new();
    for round in 0..5 {
        let mut writing = child("child_writes_until_it_is_killed", &path).spawn().unwrap();
        let (mut acks, output) = acknowledged(&mut writing, 200 + 150 * round);
        writing.kill().unwrap();
        writing.wait().unwrap();
        acks.extend(output.lines().map_while(Result::ok).filter_map(|line| ack(&line)));
        known.extend(acks);

        let store = open(&path, OpenMode::Existing).await.expect("the ledger opens after kill -9");
        let report = verify_log(store.reader(), store.verifier(), &[], Start::Beginning).await.unwrap();
        assert!(report.is_intact(), "{:?}", report.findings);
        let rows = store.entries(0, 1_000_000, &EntryFilter::default()).await.unwrap();
        let entries = rows.iter().map(|(_, body)| serde_json::from_slice::<Entry>(body).unwrap());
        let recorded: HashSet<_> = entries.filter_map(|entry| entry.subject.jti).collect();
        let lost: Vec<_> = known.difference(&recorded).collect();
        assert!(lost.is_empty(), "{} acknowledged entries are gone", lost.len());
        let some = *known.iter().next().unwrap();
        assert!(matches!(spend(&store, burn(some, None)).await, Err(BurnError::Replayed(_))));
        store.close().await.unwrap();
    }
}

/// Fills its own disk: no file of this process may grow beyond a limit, which the kernel enforces on write(2).
#[test]
fn child_runs_out_of_disk_and_recovers() {
    let Some(path) = child_ledger() else { return };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        // Without a handler SIGXFSZ ends the process; with one, write fails with EFBIG.
        const SIGXFSZ: i32 = 25;
        let _signal = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::from_raw(SIGXFSZ)).unwrap();
        let store = open(&path, OpenMode::Existing).await.unwrap();
        let limit = |bytes| rlimit::setrlimit(rlimit::Resource::FSIZE, bytes, rlimit::INFINITY).unwrap();
        limit(300_000);
        let mut written = 0_u64;
        let (lost, error) = loop {
            let jti = new_jti();
            match spend(&store, burn(jti, None)).await {
                Ok(_) => written += 1,
                Err(error) => break (jti, error),
            }
            assert!(written < 100_000, "the limit does not hold");
        };
        assert!(matches!(error, BurnError::Store(StoreError::Unavailable(_))), "{error:?}");
        // What did not fit was more than a page: now not even one fits, whatever the last commit left free.
        limit(1);
        assert!(matches!(store.writable().await, Err(StoreError::Unavailable(_))), "not ready on a full disk");
        assert_eq!(store.checkpoint().await.unwrap().size(), written, "nothing is claimed that is not there");
        limit(rlimit::INFINITY);
        tokio::time::sleep(Duration::from_millis(300)).await;
        store.writable().await.expect("ready again when there is room");
        spend(&store, burn(lost, None)).await.expect("what was not recorded was not burned");
        store.close().await.unwrap();
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_and_room_recovers_without_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ledger.db");
    open(&path, OpenMode::Create).await.unwrap().close().await.unwrap();
    let done = child("child_runs_out_of_disk_and_recovers", &path).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stdout));
    assert_eq!(findings(&path, &[]).await, []);
    assert!(SqliteReader::open(&path).await.unwrap().entries(0, 10, &EntryFilter::default()).await.unwrap().len() > 1);
}

#[test]
fn child_is_refused_a_read_only_ledger() {
    let Some(path) = child_ledger() else { return };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let opened = runtime.block_on(open(&path, OpenMode::Existing));
    assert!(matches!(opened, Err(OpenError::Unusable { .. })), "{opened:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_ledger_is_not_started_on() {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
    use std::os::unix::process::CommandExt as _;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ledger.db");
    open(&path, OpenMode::Create).await.unwrap().close().await.unwrap();
    let mode = |path: &Path, mode| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    mode(dir.path(), 0o777);
    mode(&dir.path().join("ledger.db.lock"), 0o666);
    mode(&path, 0o444);
    let mut command = child("child_is_refused_a_read_only_ledger", &path);
    if std::fs::metadata(&path).unwrap().uid() == 0 {
        command.uid(65_534); // permissions do not bind root
    }
    let done = command.output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stdout));
}

// ---- opening ----

#[tokio::test(flavor = "multi_thread")]
async fn one_process_at_a_time_and_never_a_new_ledger_in_place_of_an_old_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ledger.db");
    assert!(matches!(open(&path, OpenMode::Existing).await, Err(OpenError::Missing(_))));
    assert!(!path.exists(), "opening never creates");
    let store = open(&path, OpenMode::Create).await.unwrap();
    assert!(matches!(open(&path, OpenMode::Existing).await, Err(OpenError::InUse(_))));
    store.close().await.unwrap();
    assert!(matches!(open(&path, OpenMode::Create).await, Err(OpenError::Exists(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn foreign_files_and_newer_schemas_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let text = dir.path().join("notes.txt");
    std::fs::write(&text, "not a database, but long enough to have had a header of one hundred bytes ".repeat(4))
        .unwrap();
    assert!(matches!(open(&text, OpenMode::Existing).await, Err(OpenError::Foreign(_))));
    let other = dir.path().join("other.db");
    sql(&other, &["CREATE TABLE t (x)"]).await;
    assert!(matches!(open(&other, OpenMode::Existing).await, Err(OpenError::Foreign(_))));
    assert!(matches!(SqliteReader::open(&other).await, Err(OpenError::Foreign(_))));

    let path = written(dir.path(), 3).await;
    sql(
        &path,
        &["INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
                  VALUES (29991231000000, 'later', 1, x'00', 0)"],
    )
    .await;
    assert!(matches!(open(&path, OpenMode::Existing).await, Err(OpenError::Schema { .. })));
    assert!(matches!(SqliteReader::open(&path).await, Err(OpenError::Schema { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_does_not_start_on_a_tampered_ledger_or_with_another_key() {
    let dir = tempfile::tempdir().unwrap();
    let path = written(dir.path(), 20).await;
    let other = LogKey::new(ed25519_dalek::SigningKey::from_bytes(&[43; 32]));
    let opened = SqliteStore::open(&path, OpenMode::Existing, other, origin(), TestClock::new()).await;
    assert_eq!(refused(opened), (Tampering::CheckpointSignature, None));
    sql(&path, &["DELETE FROM entry WHERE seq = 7"]).await;
    assert_eq!(refused(open(&path, OpenMode::Existing).await), (Tampering::Dropped, Some(7)));
}

fn refused(opened: Result<SqliteStore, OpenError>) -> (Tampering, Option<u64>) {
    match opened {
        Err(OpenError::Tampered { finding, .. }) => (finding.kind, finding.seq),
        other => panic!("{other:?}"),
    }
}

// ---- tampering ----

/// A closed ledger of `entries` entries; a checkpoint is kept after half of them.
async fn written(dir: &Path, entries: u64) -> PathBuf {
    let path = dir.join("ledger.db");
    let clock = TestClock::new();
    let store = SqliteStore::open(&path, OpenMode::Create, key(), origin(), clock.clone()).await.unwrap();
    let store = Arc::new(store);
    for half in [entries / 2, entries - entries / 2] {
        let mut left = half;
        while left > 0 {
            let wave = left.min(1000); // the queue takes no more than it has places for
            left -= wave;
            let record = |store: Arc<SqliteStore>| async move {
                store.record(entry(EventType::BrokerDecision, Some(new_jti()))).await.unwrap();
            };
            let tasks: Vec<_> = (0..wave).map(|_| tokio::spawn(record(Arc::clone(&store)))).collect();
            for task in tasks {
                task.await.unwrap();
            }
        }
        clock.advance(Duration::from_secs(61));
    }
    store.close().await.unwrap();
    path
}

pub async fn sql(path: &Path, statements: &[&str]) {
    let mut conn = SqliteConnectOptions::new().filename(path).create_if_missing(true).connect().await.unwrap();
    for statement in statements {
        let done = sqlx::query(AssertSqlSafe(*statement)).execute(&mut conn).await;
        done.unwrap_or_else(|error| panic!("{statement}: {error}"));
    }
    conn.close().await.unwrap();
}

async fn findings(path: &Path, published: &[String]) -> Vec<(Tampering, Option<u64>)> {
    let reader = SqliteReader::open(path).await.unwrap();
    let report = verify_log(&reader, &key().verifier(&origin()), published, Start::Beginning).await.unwrap();
    reader.close().await;
    report.findings.iter().map(|finding| (finding.kind, finding.seq)).collect()
}

/// Runs `statements` on a fresh ledger of `entries` entries and returns what verification finds.
async fn after(entries: u64, statements: &[&str]) -> Vec<(Tampering, Option<u64>)> {
    let dir = tempfile::tempdir().unwrap();
    let path = written(dir.path(), entries).await;
    assert_eq!(findings(&path, &[]).await, [], "intact before");
    sql(&path, statements).await;
    findings(&path, &[]).await
}

const EDIT_BODY: &str = "UPDATE entry SET body = CAST(replace(CAST(body AS TEXT), '\"ok\"', '\"no\"') AS BLOB), \
                         reason = 'no' WHERE seq = ";

fn edit(seq: u64) -> String {
    format!("{EDIT_BODY}{seq}")
}

fn exchange(columns: &[&str], a: u64, b: u64) -> String {
    // The join's right side is materialised by the DISTINCT, so that the update does not read what it wrote.
    let sets: Vec<_> = columns.iter().map(|c| format!("{c} = o.{c}")).collect();
    let old = format!("(SELECT DISTINCT * FROM entry WHERE seq IN ({a}, {b}) ORDER BY seq LIMIT 2)");
    format!(
        "UPDATE entry SET {} FROM {old} o WHERE entry.seq IN ({a}, {b}) AND o.seq = {a} + {b} - entry.seq",
        sets.join(", ")
    )
}

const ALL: [&str; 11] = [
    "event_type",
    "at_ms",
    "agent",
    "act",
    "reason",
    "jti",
    "challenge_id",
    "decision_id",
    "workspace",
    "body",
    "leaf",
];

#[tokio::test(flavor = "multi_thread")]
async fn an_edited_body_is_named_in_full_blocks_and_at_the_open_end() {
    for seq in [0, 100, 255, 256, 511, 520] {
        assert_eq!(after(530, &[&edit(seq)]).await, [(Tampering::Edited, Some(seq))]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edited_leaf_is_named() {
    for seq in [100, 520] {
        let flip = format!("UPDATE entry SET leaf = zeroblob(32) WHERE seq = {seq}");
        assert_eq!(after(530, &[&flip]).await, [(Tampering::Edited, Some(seq))]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edited_index_column_is_named() {
    for change in
        ["agent = 'spiffe://example.org/agent/x'", "jti = NULL", "at_ms = at_ms + 1", "event_type = 'poa_denied'"]
    {
        let found = after(30, &[&format!("UPDATE entry SET {change} WHERE seq = 9")]).await;
        assert_eq!(found, [(Tampering::Edited, Some(9))], "{change}");
    }
}

/// What a broker counts from when it starts: no part of the tree, and whoever takes calls out of it gives an agent its
/// rate anew.
#[tokio::test(flavor = "multi_thread")]
async fn allowed_calls_that_are_kept_of_a_block_and_are_not_those_of_its_entries_are_named() {
    for (change, block) in [
        ("UPDATE allowed_block SET calls = CAST('[]' AS BLOB) WHERE idx = 1", 256),
        ("UPDATE allowed_block SET calls = CAST('no JSON' AS BLOB) WHERE idx = 0", 0),
        ("UPDATE allowed_block SET calls = CAST(replace(CAST(calls AS TEXT), 'buyer', 'other') AS BLOB)", 0),
        ("UPDATE allowed_block SET calls = CAST(replace(calls, '.read', '.list') AS BLOB) WHERE idx = 1", 256),
    ] {
        let found = after(530, &[change]).await;
        assert_eq!(found.first(), Some(&(Tampering::Edited, Some(block))), "{change}: {found:?}");
    }
    // What is not kept is counted from the entries, which is never wrong.
    assert_eq!(after(530, &["DELETE FROM allowed_block WHERE idx = 0"]).await, []);
}

/// Questions look where the tags say: whoever changes them hides entries.
#[tokio::test(flavor = "multi_thread")]
async fn tags_that_are_kept_of_a_block_and_are_not_those_of_its_entries_are_named() {
    for table in ["agent_tags", "jti_tags", "decision_tags"] {
        let hidden = format!("UPDATE {table} SET tags = zeroblob(1024) WHERE idx = 1");
        assert_eq!(after(530, &[&hidden]).await, [(Tampering::Edited, Some(256))], "{table}");
        // A block without them is looked at whole.
        assert_eq!(after(530, &[&format!("DELETE FROM {table} WHERE idx = 0")]).await, []);
    }
}

/// Body and leaf changed so that they agree.
async fn rewrite(path: &Path, seq: u64) {
    sql(path, &[&edit(seq)]).await;
    let mut conn = SqliteConnectOptions::new().filename(path).connect().await.unwrap();
    let select = sqlx::query_scalar("SELECT body FROM entry WHERE seq = ?").bind(i64::try_from(seq).unwrap());
    let body: Vec<u8> = select.fetch_one(&mut conn).await.unwrap();
    let leaf = atb::domain::ledger::LeafHash::of(&body).as_bytes().to_vec();
    let update = sqlx::query("UPDATE entry SET leaf = ? WHERE seq = ?").bind(leaf).bind(i64::try_from(seq).unwrap());
    update.execute(&mut conn).await.unwrap();
    conn.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_and_leaf_edited_together_are_named_as_closely_as_the_signature_allows() {
    // The tile names the entry; at the open end (512..530 = 16 + 2) the right edge names the range.
    for (seq, named) in [(100, 100), (515, 512), (529, 528)] {
        let dir = tempfile::tempdir().unwrap();
        let path = written(dir.path(), 530).await;
        rewrite(&path, seq).await;
        assert_eq!(findings(&path, &[]).await, [(Tampering::Edited, Some(named))], "{seq}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_rewritten_with_its_tile_is_found_in_its_block() {
    let dir = tempfile::tempdir().unwrap();
    let path = written(dir.path(), 530).await;
    rewrite(&path, 300).await;
    let tile = "UPDATE tile SET leaves = (SELECT unhex(group_concat(hex(leaf), '' ORDER BY seq)) FROM entry \
                WHERE seq BETWEEN 256 AND 511) WHERE idx = 1";
    sql(&path, &[tile]).await;
    assert_eq!(findings(&path, &[]).await, [(Tampering::Edited, Some(256))]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_row_is_dropped_and_deleted_last_rows_are_truncated() {
    for seq in [0, 100, 256, 520] {
        let found = after(530, &[&format!("DELETE FROM entry WHERE seq = {seq}")]).await;
        assert_eq!(found, [(Tampering::Dropped, Some(seq))]);
    }
    for seq in [10, 512, 529] {
        let found = after(530, &[&format!("DELETE FROM entry WHERE seq >= {seq}")]).await;
        assert_eq!(found, [(Tampering::Truncated, Some(seq))]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_are_only_said_to_be_archived_were_dropped() {
    let said = "INSERT INTO archived_block (idx, at_ms, place) VALUES (0, 0, 'file:///nowhere')";
    let found = after(530, &["DELETE FROM entry WHERE seq IN (100, 101)", said]).await;
    assert_eq!(found, [(Tampering::Dropped, Some(100))]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_row_is_noticed_although_the_rest_was_renumbered() {
    let renumber = "UPDATE entry SET seq = seq - 1 WHERE seq = ";
    let mut statements = vec!["DELETE FROM entry WHERE seq = 100".to_owned()];
    statements.extend((101..530).map(|seq| format!("{renumber}{seq}")));
    let statements: Vec<_> = statements.iter().map(String::as_str).collect();
    let found = after(530, &statements).await;
    assert_eq!(found, [(Tampering::Dropped, Some(100)), (Tampering::Truncated, Some(529))]);
}

#[tokio::test(flavor = "multi_thread")]
async fn exchanged_rows_are_reordered() {
    for (a, b) in [(3, 200), (100, 300)] {
        let found = after(530, &[&exchange(&ALL, a, b)]).await;
        assert_eq!(found, [(Tampering::Reordered, Some(a)), (Tampering::Reordered, Some(b))], "in tiles");
    }
    assert_eq!(after(530, &[&exchange(&ALL, 513, 529)]).await, [(Tampering::Reordered, Some(513))], "at the open end");
    let found = after(530, &[&exchange(&ALL[..10], 513, 529)]).await;
    assert_eq!(found, [(Tampering::Reordered, Some(513)), (Tampering::Reordered, Some(529))], "without their leaves");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_behind_the_checkpoint_is_appended() {
    let copy = "INSERT INTO entry SELECT seq + 1, event_type, at_ms, agent, act, reason, jti, challenge_id, decision_id, \
                workspace, body, leaf FROM entry WHERE seq = 29";
    assert_eq!(after(30, &[copy]).await, [(Tampering::Appended, Some(30))]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_checkpoint_is_not_signed() {
    let change = "UPDATE head SET note = replace(note, char(10) || '30' || char(10), char(10) || '29' || char(10))";
    assert_eq!(after(30, &[change]).await, [(Tampering::CheckpointSignature, None)]);
    let history =
        "UPDATE checkpoint SET note = replace(note, 'A', 'B') WHERE size = (SELECT min(size) FROM checkpoint)";
    let found = after(30, &[history]).await;
    assert!(matches!(found[..], [(Tampering::CheckpointSignature, Some(_))]), "{found:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_put_back_to_an_earlier_signed_state_is_truncated() {
    // Everything as it was at the first kept checkpoint, which was signed; only a later one gives it away.
    let dir = tempfile::tempdir().unwrap();
    let path = written(dir.path(), 40).await;
    let reader = SqliteReader::open(&path).await.unwrap();
    let published = atb::service::auditor::LogSource::head(&reader).await.unwrap().note;
    reader.close().await;
    let first = "(SELECT min(size) FROM checkpoint)";
    sql(
        &path,
        &[
            &format!("DELETE FROM entry WHERE seq >= {first}"),
            "UPDATE head SET (size, frontier, note) = (SELECT size, frontier, note FROM checkpoint ORDER BY size LIMIT 1)",
        ],
    )
    .await;
    let back = findings(&path, &[]).await;
    assert!(matches!(back[..], [(Tampering::Truncated, Some(_))]), "{back:?}");
    sql(&path, &[&format!("DELETE FROM checkpoint WHERE size > {first}")]).await;
    assert_eq!(findings(&path, &[]).await, [], "nothing in the file knows better");
    let back = findings(&path, &[published]).await;
    assert!(matches!(back[..], [(Tampering::Truncated, Some(_))]), "a published checkpoint does: {back:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_history_under_the_same_key_is_forked() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (one, two) = (written(one.path(), 40).await, written(two.path(), 30).await);
    let reader = SqliteReader::open(&two).await.unwrap();
    let published = atb::service::auditor::LogSource::head(&reader).await.unwrap().note;
    assert_eq!(findings(&one, std::slice::from_ref(&published)).await, [(Tampering::Forked, None)]);
    assert_eq!(findings(&two, &[published]).await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_in_use_verifies_while_it_grows() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ledger.db");
    let store = Arc::new(open(&path, OpenMode::Create).await.unwrap());
    let writing = Arc::clone(&store);
    let load = tokio::spawn(async move {
        for _ in 0..2000 {
            spend(&*writing, burn(new_jti(), None)).await.unwrap();
        }
    });
    while !load.is_finished() {
        assert_eq!(findings(&path, &[]).await, []);
    }
    load.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_log_is_verified_from_its_last_kept_checkpoint_and_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let path = written(dir.path(), 17_000).await;
    sql(&path, &["DELETE FROM checkpoint WHERE size = 17000"]).await; // as after a crash
    let store = open(&path, OpenMode::Existing).await.unwrap();
    for _ in 0..300 {
        spend(&store, burn(new_jti(), None)).await.unwrap();
    }
    store.close().await.unwrap();
    assert_eq!(findings(&path, &[]).await, []);

    sql(&path, &["DELETE FROM checkpoint WHERE size > 9000", &edit(16_000)]).await;
    assert_eq!(refused(open(&path, OpenMode::Existing).await), (Tampering::Edited, Some(16_000)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_is_recorded_or_refused_and_never_lost() {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(open(&dir.path().join("ledger.db"), OpenMode::Create).await.unwrap());
    let record = |store: Arc<SqliteStore>| async move { store.record(entry(EventType::PoaDenied, None)).await };
    let tasks: Vec<_> = (0..9000).map(|_| tokio::spawn(record(Arc::clone(&store)))).collect();
    let mut recorded = 0;
    for task in tasks {
        match task.await.unwrap() {
            Ok(_) => recorded += 1,
            Err(StoreError::Busy) => {}
            Err(error) => panic!("{error}"),
        }
    }
    assert!(recorded >= 4096, "the queue holds as much");
    assert_eq!(store.checkpoint().await.unwrap().size(), recorded);
}
