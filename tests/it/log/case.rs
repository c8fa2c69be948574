//! `atb audit case`, and an auditor who has the file and the log's key and nothing else.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use atb::adapters::case_file;
use atb::adapters::store::{Erase, OpenMode, SqliteStore};
use atb::domain::id::Sha256Digest;
use atb::domain::ledger::{EventType, LogKey};
use atb::service::case::{Files, Manifest};
use serde_json::Value;

use crate::app::{TestApp, asking, the_call};
use crate::store_contract::TestClock;

fn atb(dir: &Path, args: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_atb"));
    let output = command.current_dir(dir).env_clear().args(args).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

/// A high act from the request to its outcome; the services are stopped.
async fn acted() -> (TestApp, String) {
    let app = TestApp::start().await;
    let challenge = app.challenge(&asking("high")).await;
    for name in ["alice", "bob"] {
        assert_eq!(app.approve(name, &challenge).await.status, 200);
    }
    let mandate = app.collect(&challenge).await.text("/token");
    let (method, path, body) = the_call("high");
    assert_eq!(app.call(method, path, &mandate, body.as_ref()).await.status, 200);
    // The outcome is written behind the answer.
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(outcome) = app.events_of(EventType::ConnectorOutcome).await.pop() {
            return (app, outcome.subject.decision_id.unwrap().to_string());
        }
        assert!(Instant::now() < end, "no outcome");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The case in a folder of its own, with the key.
fn made(app: &TestApp, id: &str) -> tempfile::TempDir {
    let away = tempfile::tempdir().unwrap();
    let out = away.path().join("case.zip");
    let (code, _, err) = atb(&app.home().path(""), &["audit", "case", id, "--out", out.to_str().unwrap()]);
    assert_eq!(code, 0, "{err}");
    std::fs::copy(app.home().path("keys/ledger.vkey"), away.path().join("ledger.vkey")).unwrap();
    away
}

fn verify(away: &Path, name: &str) -> (i32, Value) {
    let (code, out, err) = atb(away, &["audit", "verify", name, "--key", "ledger.vkey", "--format", "json"]);
    assert!(code < 2, "{err}");
    (code, serde_json::from_str(&out).unwrap())
}

fn checks(report: &Value, outcome: &str) -> Vec<String> {
    let checks = report["case"]["checks"].as_array().unwrap().iter();
    let of = checks.filter(|check| check["outcome"] == outcome);
    of.map(|check| format!("{}: {}", check["of"].as_str().unwrap(), check["detail"].as_str().unwrap())).collect()
}

#[tokio::test]
async fn an_auditor_with_the_file_and_the_key_re_checks_everything_from_request_to_outcome() {
    let (app, decision) = acted().await;
    let away = made(&app, &decision);
    let (code, report) = verify(away.path(), "case.zip");
    assert_eq!(code, 0, "{report:#}");
    assert_eq!(checks(&report, "not_checked"), Vec::<String>::new(), "nothing is left open");
    let ok = checks(&report, "ok").join("\n");
    for said in [
        "checkpoint.txt: signed by the log's key",
        "poa_challenge_created: in the log",
        "poa_approval_recorded statement: signed by spiffe://atb.dev/approver/alice",
        "poa_approval_recorded statement: signed by spiffe://atb.dev/approver/bob",
        "poa_issued_dual_control verdict:",
        "broker_decision verdict: allow, ok; the bundle gives the same for the same input",
        "broker_decision mandate: signed by spiffe://atb.dev/agentauth and in time, approved by \
         spiffe://atb.dev/approver/alice and spiffe://atb.dev/approver/bob",
        "broker_decision outcome: ok",
    ] {
        assert!(ok.contains(said), "{said} is not in\n{ok}");
    }
    let files = case_file::read_path(&away.path().join("case.zip")).unwrap();
    crate::schemas::fits("case-manifest", &serde_json::from_slice(&files["manifest.json"]).unwrap());
    // The same case by any of its ids has the same entries; the same question the same bytes.
    let again = made(&app, &decision);
    assert_eq!(
        std::fs::read(away.path().join("case.zip")).unwrap(),
        std::fs::read(again.path().join("case.zip")).unwrap()
    );
    let manifest: Manifest = serde_json::from_slice(&files["manifest.json"]).unwrap();
    let event = manifest.entries.iter().find(|entry| entry.event_type == "poa_issued_dual_control").unwrap();
    let by_event = made(&app, &event.event_id.to_string());
    let other = case_file::read_path(&by_event.path().join("case.zip")).unwrap();
    let other: Manifest = serde_json::from_slice(&other["manifest.json"]).unwrap();
    assert_eq!(other.entries, manifest.entries);
    app.finish().await;
}

/// `files` after `change`, with a manifest that fits them: what a forger with the program could make.
fn forged(files: &Files, change: impl FnOnce(&mut Files)) -> Vec<u8> {
    let mut files = files.clone();
    change(&mut files);
    let mut manifest: Value = serde_json::from_slice(&files["manifest.json"]).unwrap();
    let listed = files.iter().filter(|(name, _)| *name != "manifest.json").map(|(name, bytes)| {
        (name.clone(), serde_json::json!({"bytes": bytes.len(), "digest": Sha256Digest::of(bytes)}))
    });
    manifest["files"] = Value::Object(listed.collect());
    files.insert("manifest.json".to_owned(), manifest.to_string().into_bytes());
    case_file::write(&files).unwrap()
}

fn edit(files: &mut Files, name: &str, from: &str, to: &str) {
    let text = String::from_utf8(files[name].clone()).unwrap();
    assert!(text.contains(from), "{name} has no {from}");
    files.insert(name.to_owned(), text.replacen(from, to, 1).into_bytes());
}

#[tokio::test]
async fn each_forgery_of_a_case_is_named() {
    let (app, decision) = acted().await;
    let away = made(&app, &decision);
    let files = case_file::read_path(&away.path().join("case.zip")).unwrap();
    let manifest: Manifest = serde_json::from_slice(&files["manifest.json"]).unwrap();
    let seq = |kind: &str| {
        let found = manifest.entries.iter().find(|entry| entry.event_type == kind);
        format!("{:010}", found.unwrap().seq)
    };
    let (decided, ended, approved) = (seq("broker_decision"), seq("connector_outcome"), seq("poa_approval_recorded"));
    let bundle = files.keys().find(|name| name.starts_with("bundles/")).unwrap().clone();
    type Change<'a> = Box<dyn FnOnce(&mut Files) + 'a>;
    let forgeries: Vec<(&str, Change<'_>, &str)> = vec![
        (
            "an entry",
            Box::new(|f| edit(f, &format!("entries/{decided}.json"), "\"allow\":true", "\"allow\":false")),
            "not at this place",
        ),
        (
            "a proof",
            Box::new(|f| edit(f, &format!("proofs/{decided}.json"), "sha-256:", "sha-256:0")),
            "its bytes or its proof are not there",
        ),
        ("the checkpoint", Box::new(|f| edit(f, "checkpoint.txt", "atb.dev/atb\n", "atb.dev/atb\n1")), "signature"),
        (
            "an exchanged proof",
            Box::new(|f| {
                let other = f[&format!("proofs/{ended}.json")].clone();
                f.insert(format!("proofs/{decided}.json"), other);
            }),
            "not at this place",
        ),
        (
            "an opening",
            Box::new(|f| edit(f, &format!("openings/{decided}.json"), "DE0212", "DE0213")),
            "opening_tampered",
        ),
        (
            "a mandate",
            Box::new(|f| edit(f, &format!("mandates/{decided}.jws"), "eyJ", "eyK")),
            "not the document whose digest is on record",
        ),
        (
            "a statement",
            Box::new(|f| {
                let other = f[&format!("mandates/{decided}.jws")].clone();
                f.insert(format!("statements/{approved}.jws"), other);
            }),
            "not the document whose digest is on record",
        ),
        (
            "a bundle that is none",
            Box::new(|f| {
                f.insert(bundle.clone(), b"x".to_vec());
            }),
            "the archive is not a whole gzip file",
        ),
        (
            "a file that is not listed",
            Box::new(|f| {
                f.remove("keys/jwks.json");
            }),
            "the keys that the record names are not in the case",
        ),
        (
            "other keys",
            Box::new(|f| edit(f, "keys/jwks.json", "\"x\": \"", "\"x\": \"A")),
            "the keys that the record names are not in the case",
        ),
    ];
    for (what, change, said) in forgeries {
        std::fs::write(away.path().join("forged.zip"), forged(&files, change)).unwrap();
        let (code, report) = verify(away.path(), "forged.zip");
        let found = [checks(&report, "failed"), checks(&report, "not_checked")].concat().join("\n");
        assert!(found.contains(said), "{what}: {said} is not in\n{found}\n{report:#}");
        // What cannot be checked is said to be so; what is wrong fails.
        assert_eq!(code == 0, checks(&report, "failed").is_empty(), "{what}");
    }
    // Changed without a fitting manifest, packed anew, or no case at all.
    let mut changed = files.clone();
    edit(&mut changed, "checkpoint.txt", "atb.dev/atb\n", "atb.dev/atb\n1");
    std::fs::write(away.path().join("forged.zip"), case_file::write(&changed).unwrap()).unwrap();
    assert_eq!(
        checks(&verify(away.path(), "forged.zip").1, "failed"),
        ["manifest.json: `checkpoint.txt` is not the file that it lists"]
    );
    let mut bytes = std::fs::read(away.path().join("case.zip")).unwrap();
    bytes.push(0);
    std::fs::write(away.path().join("forged.zip"), bytes).unwrap();
    let (code, _, err) = atb(away.path(), &["audit", "verify", "forged.zip", "--key", "ledger.vkey"]);
    assert_eq!(code, 2, "{err}");
    // Another log's key.
    let other = LogKey::new(ed25519_dalek::SigningKey::from_bytes(&[9; 32])).verifier(&"atb.dev/atb".parse().unwrap());
    let (code, out, _) = atb(away.path(), &["audit", "verify", "case.zip", "--key", &other.to_string()]);
    assert!(
        code == 1 && out.contains("FAILED       checkpoint.txt: the checkpoint is not signed by the log's key"),
        "{out}"
    );
    app.finish().await;
}

#[tokio::test]
async fn what_was_erased_is_not_in_a_case_and_contradicts_nothing() {
    let (mut app, decision) = acted().await;
    app.stop().await;
    let database = app.home().path("data/ledger.db");
    let key = atb::adapters::signer::read_ed25519(&app.home().path("keys/ledger.pem")).unwrap();
    let origin = "atb.dev/atb".parse().unwrap();
    let store =
        SqliteStore::open(&database, OpenMode::Existing, LogKey::new(key), origin, TestClock::new()).await.unwrap();
    assert_eq!(store.erase_openings(Erase::Decision(decision.parse().unwrap())).await.unwrap(), 1);
    store.close().await.unwrap();
    let away = made(&app, &decision);
    let files = case_file::read_path(&away.path().join("case.zip")).unwrap();
    assert!(!files.keys().any(|name| name.starts_with("mandates/")), "the mandate went with the openings");
    let (code, report) = verify(away.path(), "case.zip");
    assert_eq!(code, 0, "{report:#}");
    let open = checks(&report, "not_checked").join("\n");
    assert!(open.contains("broker_decision verdict: opening_erased"), "{open}");
    app.start_again().await.unwrap();
    app.finish().await;
}
