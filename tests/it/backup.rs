//! Backup, restore and archive as an operator runs them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use atb::adapters::signer;
use atb::adapters::store::{OpenMode, SqliteReader, SqliteStore, write_verifier_key};
use atb::domain::ledger::{EventType, LogKey};
use atb::domain::time::Timestamp;
use atb::service::auditor::LogSource as _;
use atb::service::ports::{EntryFilter, Ledger as _};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _};

use crate::process::{self, Home};
use crate::store_contract::{TestClock, entry};

fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

async fn head(ledger: &Path) -> String {
    let reader = SqliteReader::open(ledger).await.unwrap();
    let note = reader.head().await.unwrap().note;
    reader.close().await;
    note
}

async fn sql(path: &Path, statement: &str) {
    let mut conn = SqliteConnectOptions::new().filename(path).connect().await.unwrap();
    sqlx::query(AssertSqlSafe(statement.to_owned())).execute(&mut conn).await.unwrap();
    conn.close().await.unwrap();
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { all.extend(files(&path)) } else { all.push(path) }
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_service_is_backed_up_and_the_restored_copy_proves_its_root_and_serves() {
    let home = Home::new();
    let served = home.serve();
    let client = served.at_agentauth("procurement");
    for _ in 0..5 {
        process::low_mandate(&client).await;
    }
    let archive = text(&home.file("../backup.tar.gz"));
    let load = tokio::spawn(async move {
        for _ in 0..20 {
            process::low_mandate(&client).await;
        }
    });
    let made = home.run(["backup", "--out", &archive]).ok();
    load.await.unwrap();
    assert!(made.out.contains("no private keys"), "{made:?}");
    use std::os::unix::fs::PermissionsExt as _;
    assert_eq!(std::fs::metadata(&archive).unwrap().permissions().mode() & 0o077, 0, "others can read the backup");
    assert_eq!(home.run(["backup", "--out", &archive]).code, 2, "a backup overwrites nothing");

    let key = text(&home.file("keys/ledger.vkey"));
    let proved = home.run(["restore", "--verify", &archive, "--key", &key]).ok();
    assert!(proved.out.starts_with("proved: "), "{proved:?}");
    let restored = home.file("../restored");
    home.run(["restore", &archive, "--to", &text(&restored), "--key", &key]).ok();
    for file in files(&restored) {
        let bytes = std::fs::read(&file).unwrap();
        let secret = bytes.windows(11).any(|window| window == b"PRIVATE KEY");
        assert!(!secret && !file.to_string_lossy().contains("commitment"), "{} is in the backup", file.display());
    }
    let verified = home.run(["audit", "verify", "--home", &text(&restored)]).ok();
    assert!(verified.out.contains("intact"), "{verified:?}");
    served.terminate();
    assert!(served.exited().await.success());

    // The keys come from where they are kept; the rest of a new machine from the backup.
    for name in ["keys", "svids"] {
        for file in files(&home.file(name)) {
            let to = restored.join(file.strip_prefix(home.path()).unwrap());
            std::fs::create_dir_all(to.parent().unwrap()).unwrap();
            std::fs::copy(&file, &to).unwrap();
        }
    }
    let checked = process::Ran::of(process::atb(["config", "check"]).current_dir(&restored));
    assert_eq!(checked.code, 0, "{checked:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_was_changed_is_not_whole_and_an_older_one_says_so() {
    let home = Home::new();
    let served = home.serve();
    let client = served.at_agentauth("procurement");
    process::low_mandate(&client).await;
    let folder = home.file("../backup");
    home.run(["backup", "--out", &text(&folder), "--with-keys"]).ok();
    assert!(std::fs::read_to_string(folder.join("keys/ledger.pem")).unwrap().contains("PRIVATE KEY"));
    process::low_mandate(&client).await;
    let kept = home.file("kept.txt");
    std::fs::write(&kept, head(&home.file("data/ledger.db")).await).unwrap();
    served.kill();
    let (backup, kept, key) = (text(&folder), text(&kept), text(&home.file("keys/ledger.vkey")));

    let older = home.run(["restore", "--verify", &backup, "--key", &key, "--checkpoint", &kept]);
    assert_eq!(older.code, 1, "{older:?}");
    assert!(older.out.contains("OLDER: a checkpoint that was kept elsewhere covers"), "{older:?}");
    let target = text(&home.file("../target"));
    let refused = home.run(["restore", &backup, "--to", &target, "--key", &key, "--checkpoint", &kept]);
    assert!(refused.code == 1 && !Path::new(&target).exists(), "{refused:?}");
    let accepted =
        home.run(["restore", &backup, "--to", &target, "--key", &key, "--checkpoint", &kept, "--accept-older"]).ok();
    assert!(accepted.out.contains("OLDER") && accepted.out.contains("restored to"), "{accepted:?}");

    sql(
        &folder.join("data/ledger.db"),
        "UPDATE entry SET body = CAST(replace(CAST(body AS TEXT), 'service', 'sErvice') AS BLOB) WHERE seq = 1",
    )
    .await;
    let changed = home.run(["restore", "--verify", &backup, "--key", &key]);
    assert!(changed.code == 1 && changed.out.contains("`data/ledger.db` is not what was backed up"), "{changed:?}");
    // Also with a manifest that was changed to fit.
    let bytes = std::fs::read(folder.join("data/ledger.db")).unwrap();
    let mut manifest: serde_json::Value =
        serde_json::from_slice(&std::fs::read(folder.join("manifest.json")).unwrap()).unwrap();
    crate::schemas::fits("backup-manifest", &manifest);
    manifest["files"]["data/ledger.db"] = atb::domain::id::Sha256Digest::of(&bytes).to_string().into();
    std::fs::write(folder.join("manifest.json"), manifest.to_string()).unwrap();
    let changed = home.run(["restore", "--verify", &backup, "--key", &key]);
    assert!(changed.code == 1 && changed.out.contains("edited at entry 1"), "{changed:?}");
    assert!(changed.out.contains("NOT WHOLE"), "{changed:?}");
    std::fs::remove_file(folder.join("trust/bundle.pem")).unwrap();
    let missing = home.run(["restore", "--verify", &backup, "--key", &key]);
    assert!(missing.code == 1 && missing.out.contains("`trust/bundle.pem` is missing"), "{missing:?}");
}

/// The ledger of `home` with 700 entries of which the first 600 are of 2018, every tenth of them mere access.
async fn old_ledger(home: &Home) -> PathBuf {
    let config = home.config();
    let key = LogKey::new(signer::read_ed25519(&config.ledger_key).unwrap());
    std::fs::create_dir_all(config.store.parent().unwrap()).unwrap();
    let origin = "atb.dev/atb".parse().unwrap();
    let store = SqliteStore::open(&config.store, OpenMode::Create, key, origin, TestClock::new()).await.unwrap();
    for number in 0..700_u64 {
        let kind = if number % 10 == 0 { EventType::AuthenticationFailed } else { EventType::PoaDenied };
        let mut entry = entry(kind, None);
        if number < 600 {
            entry.at = Timestamp::from_secs(1_514_764_800).plus(Duration::from_secs(number));
        }
        store.record(entry).await.unwrap();
    }
    write_verifier_key(&config.ledger_key.with_extension("vkey"), store.verifier()).unwrap();
    store.close().await.unwrap();
    config.store
}

async fn held(ledger: &Path) -> usize {
    let reader = SqliteReader::open(ledger).await.unwrap();
    let rows = reader.entries(0, 100_000, &EntryFilter::default()).await.unwrap();
    reader.close().await;
    rows.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn sealed_blocks_are_archived_read_back_and_only_then_and_only_beyond_the_limit_deleted() {
    let home = Home::new();
    let ledger = old_ledger(&home).await;
    let archive = format!("file://{}", text(&home.file("../archive")));
    let run = |more: &[&str]| {
        let mut command = home.atb(["audit", "archive", "--to", &archive]);
        process::Ran::of(command.args(more))
    };
    let first = run(&[]).ok();
    assert!(first.out.contains("512 entries in 2 blocks, 2 of them new"), "{first:?}");
    assert!(run(&[]).ok().out.contains("0 of them new"), "what is archived is not archived again");
    let marker = serde_json::from_slice(&std::fs::read(home.file("../archive/archive.json")).unwrap()).unwrap();
    crate::schemas::fits("archive-marker", &marker);
    assert!(home.file("../archive/tile/entries/001").is_file() && home.file("../archive/tile/0/000").is_file());

    for (flag, key) in
        [("--delete-before", "retention.audit_days"), ("--delete-access-before", "retention.access_days")]
    {
        let refused = run(&[flag, "2026-11-20T00:00:00Z"]);
        assert!(refused.code == 2 && refused.err.contains("refused: ") && refused.err.contains(key), "{refused:?}");
    }
    let five_years = run(&["--delete-before", "2024-01-01T00:00:00Z"]);
    assert!(five_years.code == 2 && five_years.err.contains("2557 days"), "{five_years:?}");
    assert_eq!(held(&ledger).await, 700);

    let access = run(&["--delete-access-before", "2019-01-01T00:00:00Z"]).ok();
    assert!(access.out.contains("deleted: 52 entries of 2 blocks"), "{access:?}");
    let verified = home.run(["audit", "verify"]).ok();
    assert!(
        verified.out.contains("intact") && verified.out.contains("not read: entries 0..1 are archived"),
        "{verified:?}"
    );

    let all = run(&["--delete-before", "2019-01-01T00:00:00Z"]).ok();
    assert!(all.out.contains("deleted: 460 entries of 2 blocks"), "{all:?}");
    assert_eq!(held(&ledger).await, 700 - 512 + 2, "two events say what was taken out");
    let verified = home.run(["audit", "verify"]).ok();
    assert!(verified.out.contains("not read: entries 0..512 are archived"), "{verified:?}");
    let whole = home.run(["audit", "verify", "--archive", &archive]).ok();
    assert!(whole.out.contains("intact, 702 entries") && !whole.out.contains("not read"), "{whole:?}");
    let reader = SqliteReader::open(&ledger).await.unwrap();
    assert!(!reader.inclusion_proof(17, 700).await.unwrap().is_empty(), "proofs go on");
    assert!(!reader.consistency_proof(100, 700).await.unwrap().is_empty());
    let events = reader.entries(700, 10, &EntryFilter::default()).await.unwrap();
    for (_, body) in &events {
        let event: serde_json::Value = serde_json::from_slice(body).unwrap();
        assert_eq!(event["event_type"], "ledger_archived");
        crate::schemas::fits("ledger-entry", &event);
    }
    reader.close().await;

    // The service starts on it and goes on.
    let served = home.serve();
    process::low_mandate(&served.at_agentauth("procurement")).await;
    let running = run(&["--delete-before", "2019-01-01T00:00:00Z"]);
    assert!(running.code == 2 && running.err.contains("stop the service first"), "{running:?}");
    served.kill();
    home.assert_intact();
    // A row that goes without an archive is still a row that was taken.
    sql(&ledger, "DELETE FROM entry WHERE seq = 600").await;
    let dropped = home.run(["audit", "verify"]);
    assert!(dropped.code == 1 && dropped.out.contains("dropped at entry 600"), "{dropped:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_that_does_not_hold_what_was_written_lets_nothing_be_deleted_and_is_named() {
    let home = Home::new();
    let ledger = old_ledger(&home).await;
    let archive = format!("file://{}", text(&home.file("../archive")));
    let run = |more: &[&str]| {
        let mut command = home.atb(["audit", "archive", "--to", &archive]);
        process::Ran::of(command.args(more))
    };
    run(&[]).ok();
    let bundle = home.file("../archive/tile/entries/001");
    let good = std::fs::read(&bundle).unwrap();
    let mut bytes = good.clone();
    *bytes.last_mut().unwrap() = b' ';
    std::fs::write(&bundle, bytes).unwrap();
    let refused = run(&["--delete-before", "2019-01-01T00:00:00Z"]);
    assert!(refused.code == 2 && refused.err.contains("entry 511 has another leaf hash"), "{refused:?}");
    assert_eq!(held(&ledger).await, 700);
    std::fs::write(&bundle, &good).unwrap();
    run(&["--delete-before", "2019-01-01T00:00:00Z"]).ok();
    let mut bytes = good;
    bytes[10] ^= 1;
    std::fs::write(&bundle, bytes).unwrap();
    let edited = home.run(["audit", "verify", "--archive", &archive]);
    assert!(edited.code == 1 && edited.out.contains("edited at entry 256"), "{edited:?}");
}
