//! `atb audit verify` with ranges, kept checkpoints and cosignatures, `checkpoint` and `prove`, on a ledger and on copies
//! that somebody changed.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use atb::adapters::store::{OpenMode, SqliteStore, write_verifier_key};
use atb::domain::ledger::{EventType, InclusionProof, LogVerifier, notes};
use atb::service::ports::Ledger as _;
use serde_json::Value;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _};

use crate::store_contract::{TestClock, entry, key, new_jti, origin};

/// A ledger of `size` entries with its key beside it.
struct Ledger {
    dir: tempfile::TempDir,
}

impl Ledger {
    async fn of(size: u64) -> Self {
        let ledger = Self { dir: tempfile::tempdir().unwrap() };
        let clock = TestClock::new();
        let path = ledger.path("ledger.db");
        let store = SqliteStore::open(&path, OpenMode::Create, key(), origin(), clock.clone()).await.unwrap();
        write_verifier_key(&ledger.path("ledger.vkey"), store.verifier()).unwrap();
        for n in 0..size {
            store.record(entry(EventType::BrokerDecision, Some(new_jti()))).await.unwrap();
            if n == size / 2 {
                clock.advance(Duration::from_secs(61));
            }
        }
        store.close().await.unwrap();
        ledger
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn copy(&self, name: &str) -> PathBuf {
        std::fs::copy(self.path("ledger.db"), self.path(name)).unwrap();
        self.path(name)
    }

    fn atb(&self, args: &[&str]) -> (i32, String, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_atb"));
        let output = command.current_dir(self.dir.path()).env_clear().args(args).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    }

    fn verify(&self, store: &str, more: &[&str]) -> (i32, String) {
        let args = [&["audit", "verify", "--store", store, "--key", "ledger.vkey"], more].concat();
        let (code, out, err) = self.atb(&args);
        assert!(code < 2, "{err}");
        (code, out)
    }

    fn checkpoint(&self, store: &str) -> String {
        let (code, out, err) = self.atb(&["audit", "checkpoint", "--store", store, "--key", "ledger.vkey"]);
        assert_eq!(code, 0, "{err}");
        out
    }
}

async fn sql(path: &Path, statements: &[&str]) {
    let mut conn = sqlx::sqlite::SqliteConnectOptions::new().filename(path).connect().await.unwrap();
    for statement in statements {
        sqlx::query(AssertSqlSafe(*statement)).execute(&mut conn).await.unwrap();
    }
    conn.close().await.unwrap();
}

const EDIT: &str = "UPDATE entry SET body = CAST(replace(CAST(body AS TEXT), '\"ok\"', '\"no\"') AS BLOB), \
                    reason = 'no' WHERE seq = ";
const SWAP: &str = "UPDATE entry SET body = o.body, leaf = o.leaf, jti = o.jti, decision_id = o.decision_id \
                    FROM (SELECT DISTINCT * FROM entry WHERE seq IN (100, 300) ORDER BY seq LIMIT 2) o \
                    WHERE entry.seq IN (100, 300) AND o.seq = 400 - entry.seq";

#[tokio::test]
async fn each_tampering_of_a_copy_is_named_with_its_first_bad_entry() {
    let ledger = Ledger::of(700).await;
    let kept = ledger.checkpoint("ledger.db");
    std::fs::write(ledger.path("kept.txt"), &kept).unwrap();
    assert_eq!(ledger.verify("ledger.db", &["--checkpoint", "kept.txt"]).0, 0);
    let edit = format!("{EDIT}300");
    let rest = "DELETE FROM checkpoint WHERE size > (SELECT min(size) FROM checkpoint)";
    let put_back = [
        "DELETE FROM entry WHERE seq >= (SELECT min(size) FROM checkpoint)",
        "UPDATE head SET (size, frontier, note) = (SELECT size, frontier, note FROM checkpoint ORDER BY size LIMIT 1)",
        rest,
    ];
    for (name, statements, said) in [
        ("edited.db", &[edit.as_str()][..], "edited at entry 300"),
        ("dropped.db", &["DELETE FROM entry WHERE seq = 12"], "dropped at entry 12"),
        ("reordered.db", &[SWAP], "reordered at entry 100"),
        ("cut.db", &["DELETE FROM entry WHERE seq >= 650"], "truncated at entry 650"),
        ("back.db", &put_back, "truncated at entry"),
    ] {
        let copy = ledger.copy(name);
        sql(&copy, statements).await;
        let (code, out) = ledger.verify(name, &["--checkpoint", "kept.txt"]);
        assert_eq!(code, 1, "{name}: {out}");
        assert!(out.starts_with(said), "{name}: {out}");
    }
}

#[tokio::test]
async fn two_forks_are_found_from_two_checkpoints() {
    let (one, two) = (Ledger::of(40).await, Ledger::of(40).await);
    // Both were signed by the log's key for as many entries: no ledger is needed to see it.
    std::fs::write(one.path("kept.txt"), notes::appended(&one.checkpoint("ledger.db"))).unwrap();
    assert_eq!(one.verify("ledger.db", &["--checkpoint", "kept.txt"]).0, 0);
    let both = notes::appended(&one.checkpoint("ledger.db")) + &notes::appended(&two.checkpoint("ledger.db"));
    std::fs::write(one.path("kept.txt"), both).unwrap();
    let (code, out) = one.verify("ledger.db", &["--checkpoint", "kept.txt"]);
    assert_eq!(code, 1);
    assert!(out.contains("forked: two published checkpoints over 40 entries have different roots"), "{out}");
    assert!(out.contains("forked: a published checkpoint over 40 entries has another root than this log"), "{out}");
    // Of different sizes the log itself tells them apart.
    let longer = Ledger::of(50).await;
    std::fs::write(longer.path("kept.txt"), two.checkpoint("ledger.db")).unwrap();
    let (code, out) = longer.verify("ledger.db", &["--checkpoint", "kept.txt"]);
    assert_eq!((code, out.lines().count()), (1, 2), "{out}");
    assert!(out.starts_with("forked: a published checkpoint over 40 entries"), "{out}");
}

#[tokio::test]
async fn a_range_is_held_against_the_root_that_was_signed_for_the_whole() {
    let ledger = Ledger::of(1400).await;
    for range in [["--from", "300", "--to", "600"], ["--from", "0", "--to", "1"], ["--from", "1399", "--to", "1400"]] {
        let (code, out) = ledger.verify("ledger.db", &range);
        assert_eq!(code, 0, "{range:?}: {out}");
    }
    let copy = ledger.copy("edited.db");
    sql(&copy, &[&format!("{EDIT}700")]).await;
    let (code, out) = ledger.verify("edited.db", &["--from", "600", "--to", "800"]);
    assert_eq!(code, 1);
    assert!(out.starts_with("edited at entry 700"), "{out}");
    let (code, out) = ledger.verify("edited.db", &["--from", "1024"]);
    assert_eq!(code, 0, "the part is as it was signed: {out}");
    // A kept hash outside the part is vouched for by the root, so that nobody can hide there.
    sql(&copy, &["UPDATE node SET hash = zeroblob(32) WHERE level = 8 AND idx = 1"]).await;
    let (code, out) = ledger.verify("edited.db", &["--from", "1024"]);
    assert_eq!(code, 1, "{out}");
    let (code, _, err) =
        ledger.atb(&["audit", "verify", "--store", "ledger.db", "--key", "ledger.vkey", "--from", "9", "--to", "9"]);
    assert!(code == 2 && err.contains("--from must be below --to"), "{err}");
}

#[tokio::test]
async fn a_quorum_of_witnesses_is_asked_for_and_who_is_missing_is_named() {
    use base64ct::{Base64, Encoding as _};
    use ed25519_dalek::Signer as _;
    use sha2::Digest as _;
    let ledger = Ledger::of(10).await;
    let witness = ed25519_dalek::SigningKey::from_bytes(&[5; 32]);
    let id = |name: &str, key: &ed25519_dalek::VerifyingKey| {
        sha2::Sha256::digest([format!("{name}\n\u{4}").as_bytes(), key.as_bytes()].concat())[..4].to_vec()
    };
    let vkey = |name: &str, key: &ed25519_dalek::VerifyingKey| {
        let hex: String = id(name, key).iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{name}+{hex}+{}", Base64::encode_string(&[&[4][..], key.as_bytes()].concat()))
    };
    let note = ledger.checkpoint("ledger.db");
    let text = &note[..=note.find("\n\n").unwrap()];
    let signature = witness.sign(format!("cosignature/v1\ntime 1800000000\n{text}").as_bytes());
    let value =
        [&id("w.example/1", &witness.verifying_key())[..], &1_800_000_000_u64.to_be_bytes(), &signature.to_bytes()];
    let line = format!("\u{2014} w.example/1 {}\n", Base64::encode_string(&value.concat()));
    std::fs::write(ledger.path("cosigned.txt"), format!("{note}{line}")).unwrap();
    let other = ed25519_dalek::SigningKey::from_bytes(&[6; 32]).verifying_key();
    let keys = [vkey("w.example/1", &witness.verifying_key()), vkey("w.example/2", &other)];
    let policy = |quorum: u8| {
        let text = format!("witnesses = [\"{}\", \"{}\"]\nquorum = {quorum}\n", keys[0], keys[1]);
        std::fs::write(ledger.path("witnesses.toml"), text).unwrap();
    };
    let asked = ["--checkpoint", "cosigned.txt", "--witnesses", "witnesses.toml"];
    policy(1);
    let (code, out) = ledger.verify("ledger.db", &asked);
    assert_eq!(code, 0, "{out}");
    assert!(out.contains("10 entries cosigned by w.example/1 at 2027-01-15T08:00:00"), "{out}");
    policy(2);
    let (code, out) = ledger.verify("ledger.db", &asked);
    assert_eq!(code, 1);
    assert!(
        out.contains("checkpoint_signature: 1 of the 2 cosignatures that are required are there; missing: w.example/2"),
        "{out}"
    );
    let (code, _, err) = {
        policy(3);
        ledger.atb(&[&["audit", "verify", "--store", "ledger.db", "--key", "ledger.vkey"], &asked[..]].concat())
    };
    assert!(code == 2 && err.contains("quorum"), "{err}");
}

#[tokio::test]
async fn a_checkpoint_is_printed_or_appended_on_demand() {
    let ledger = Ledger::of(10).await;
    let append = ["audit", "checkpoint", "--store", "ledger.db", "--key", "ledger.vkey", "--append", "all.txt"];
    for said in ["appended", "was there"] {
        let (code, out, err) = ledger.atb(&append);
        assert_eq!(code, 0, "{err}");
        assert!(out.contains(said), "{out}");
    }
    let text = std::fs::read_to_string(ledger.path("all.txt")).unwrap();
    assert_eq!(notes::split(&text), (vec![ledger.checkpoint("ledger.db")], 0));
    let (code, _, err) =
        ledger.atb(&["audit", "checkpoint", "--store", "ledger.db", "--key", "ledger.vkey", "--cosigned"]);
    assert!(code == 1 && err.contains("no witness"), "{err}");
}

#[tokio::test]
async fn an_entry_is_proven_by_number_event_decision_and_mandate_in_both_forms() {
    let ledger = Ledger::of(300).await;
    let verifier: LogVerifier = std::fs::read_to_string(ledger.path("ledger.vkey")).unwrap().trim().parse().unwrap();
    let args = |id: &str, format: &str| {
        let (code, out, err) =
            ledger.atb(&["audit", "prove", id, "--store", "ledger.db", "--key", "ledger.vkey", "--format", format]);
        assert_eq!(code, 0, "{err}");
        out
    };
    let first = args("123", "json");
    let read: Value = serde_json::from_str(&first).unwrap();
    crate::schemas::fits("inclusion-proof", &read["proof"]);
    for member in ["event_id", "decision_id", "jti"] {
        assert_eq!(args(read["entry"][member].as_str().unwrap(), "json"), first, "{member}");
    }
    #[derive(serde::Deserialize)]
    struct Proven<'a> {
        #[serde(borrow)]
        entry: &'a serde_json::value::RawValue,
        proof: InclusionProof,
    }
    let proven: Proven<'_> = serde_json::from_str(&first).unwrap();
    let body = proven.entry.get().as_bytes();
    assert_eq!(proven.proof.verify(body, &verifier).unwrap().size(), 300);
    let text = InclusionProof::from_tlog_proof(&args("123", "text"), body).unwrap();
    assert_eq!(text, proven.proof);
    let (code, _, err) = ledger.atb(&[
        "audit",
        "prove",
        "01890000-0000-7000-8000-000000000000",
        "--store",
        "ledger.db",
        "--key",
        "ledger.vkey",
    ]);
    assert!(code == 1 && err.contains("no entry names"), "{err}");
}
