//! Checkpoints that leave the database: a file, and witnesses of the C2SP protocol as others implement it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use atb::adapters::store::{SqliteReader, read_verifier_key};
use atb::domain::ledger::{LogVerifier, WitnessKey, notes};
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use base64ct::{Base64, Encoding as _};
use ed25519_dalek::{Signer as _, SigningKey};
use sha2::{Digest as _, Sha256};
use tlog_tiles::Hash;
use tokio::net::TcpListener;

use crate::app::{At, TestApp};

const PATIENCE: Duration = Duration::from_secs(60);

/// What a witness is told to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mood {
    Honest,
    Down,
    /// Signs with a key that nobody configured.
    Impostor,
}

/// A witness as the specification says; consistency is checked by an implementation by others.
#[derive(Clone)]
struct Witness {
    address: SocketAddr,
    key: SigningKey,
    state: Arc<Mutex<WitnessState>>,
}

struct WitnessState {
    mood: Mood,
    /// Size and root by origin.
    latest: BTreeMap<String, (u64, Hash)>,
    asked: Vec<u64>,
    time: u64,
}

impl Witness {
    async fn start(seed: u8, mood: Mood) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let state = WitnessState { mood, latest: BTreeMap::new(), asked: Vec::new(), time: 1_800_000_000 };
        let witness = Self {
            address: listener.local_addr().unwrap(),
            key: SigningKey::from_bytes(&[seed; 32]),
            state: Arc::new(Mutex::new(state)),
        };
        let app = Router::new().route("/w/add-checkpoint", post(add_checkpoint)).with_state(witness.clone());
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        witness
    }

    fn name(&self) -> String {
        format!("witness.example/{}", self.key.to_bytes()[0])
    }

    fn id(&self) -> Vec<u8> {
        let mut hashed = format!("{}\n\u{4}", self.name()).into_bytes();
        hashed.extend_from_slice(self.key.verifying_key().as_bytes());
        Sha256::digest(&hashed)[..4].to_vec()
    }

    fn vkey(&self) -> String {
        let id: String = self.id().iter().map(|byte| format!("{byte:02x}")).collect();
        let key = [&[4][..], self.key.verifying_key().as_bytes()].concat();
        format!("{}+{id}+{}", self.name(), Base64::encode_string(&key))
    }

    fn key(&self) -> WitnessKey {
        self.vkey().parse().unwrap()
    }

    fn set(&self, mood: Mood) {
        self.state.lock().unwrap().mood = mood;
    }

    fn asked(&self) -> Vec<u64> {
        self.state.lock().unwrap().asked.clone()
    }

    fn table(&self) -> String {
        format!(
            "[[ledger.checkpoints.witness]]\nurl = \"http://{}/w/\"\nkey = \"{}\"\ntimeout_ms = 500\n",
            self.address,
            self.vkey()
        )
    }
}

async fn add_checkpoint(State(witness): State<Witness>, body: String) -> Response {
    let mut state = witness.state.lock().unwrap();
    if state.mood == Mood::Down {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    let (head, note) = body.split_once("\n\n").unwrap();
    let mut lines = head.lines();
    let old: u64 = lines.next().unwrap().strip_prefix("old ").unwrap().parse().unwrap();
    let proof: Vec<Hash> = lines.map(|line| Hash::parse_hash(line).unwrap()).collect();
    let (text, _) = note.split_once("\n\n").unwrap();
    let text = format!("{text}\n");
    let checkpoint = tlog_tiles::Checkpoint::from_bytes(text.as_bytes()).unwrap();
    state.asked.push(old);
    let (size, root) = state.latest.get(checkpoint.origin()).copied().unwrap_or_default();
    if old != size || (size == checkpoint.size() && root != *checkpoint.hash()) {
        return (StatusCode::CONFLICT, [(CONTENT_TYPE, "text/x.tlog.size")], format!("{size}\n")).into_response();
    }
    if size > 0 && size < checkpoint.size() {
        let consistent = tlog_tiles::check_tree(&proof, checkpoint.size(), *checkpoint.hash(), size, root);
        if consistent.is_err() {
            return StatusCode::UNPROCESSABLE_ENTITY.into_response();
        }
    }
    state.latest.insert(checkpoint.origin().to_owned(), (checkpoint.size(), *checkpoint.hash()));
    state.time += 1;
    let key = if state.mood == Mood::Impostor { SigningKey::from_bytes(&[99; 32]) } else { witness.key.clone() };
    let signature = key.sign(format!("cosignature/v1\ntime {}\n{text}", state.time).as_bytes());
    let value = [&witness.id()[..], &state.time.to_be_bytes(), &signature.to_bytes()].concat();
    // A line by a key that nobody asked for comes first, as a witness with two keys sends it.
    let other = [&[1, 2, 3, 4][..], &[0; 72]].concat();
    let line = |value: &[u8]| format!("\u{2014} {} {}\n", witness.name(), Base64::encode_string(value));
    format!("{}{}", line(&other), line(&value)).into_response()
}

fn verifier(app: &TestApp) -> LogVerifier {
    read_verifier_key(&app.home().path("keys/ledger.vkey")).unwrap()
}

async fn cosigned_beyond(app: &TestApp, size: u64) -> atb::domain::ledger::Checkpoint {
    let reader = SqliteReader::open(&app.home().path("data/ledger.db")).await.unwrap();
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(checkpoint) = reader.cosigned(&verifier(app)).await.unwrap().filter(|c| c.size() > size) {
            reader.close().await;
            return checkpoint;
        }
        assert!(Instant::now() < end, "no cosigned checkpoint beyond {size}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn published_by(tables: String) -> TestApp {
    let app = TestApp::start_with(move |home| {
        home.configure(&format!(
            "[ledger]\nreaders = [\"spiffe://atb.dev/auditor/*\"]\n\n[ledger.checkpoints]\ninterval_seconds = 1\n\
             file = \"kept.txt\"\n\n{tables}"
        ));
    })
    .await;
    app.enrol("auditor", "auditor/anna", Duration::from_secs(3600));
    app
}

#[tokio::test]
async fn witnesses_cosign_each_history_they_can_follow_and_go_on_after_a_restart() {
    let (one, two) = (Witness::start(1, Mood::Honest).await, Witness::start(2, Mood::Honest).await);
    let mut app = published_by(one.table() + &two.table()).await;
    let first = cosigned_beyond(&app, 0).await;
    app.low_mandate().await;
    let second = cosigned_beyond(&app, first.size()).await;
    app.restart().await;
    app.low_mandate().await;
    let third = cosigned_beyond(&app, second.size() + 2).await;
    for witness in [&one, &two] {
        let end = Instant::now() + PATIENCE;
        while !witness.asked().iter().any(|old| *old > second.size()) {
            assert!(Instant::now() < end, "the stop's checkpoint did not arrive");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let asked = witness.asked();
        assert!(asked.windows(2).all(|pair| pair[0] < pair[1]), "each from where the witness was: {asked:?}");
    }
    assert!(one.key().cosignature(&third).unwrap().is_some() || two.key().cosignature(&third).unwrap().is_some());
    let served = app.caller("auditor", At::AgentAuth).get("/log/checkpoint/cosigned").await;
    let served = verifier(&app).verify(std::str::from_utf8(&served.body).unwrap()).unwrap();
    assert!(served.size() >= third.size());
    let (_, metrics) = app.ops("/metrics").await;
    let counted = format!("atb_ledger_checkpoints_published_total{{place=\"{}\",outcome=\"published\"}}", one.name());
    assert!(metrics.contains(&counted), "{metrics}");
    app.finish().await;
}

#[tokio::test]
async fn a_witness_whose_state_is_not_known_says_it_and_is_asked_from_there() {
    let witness = Witness::start(1, Mood::Honest).await;
    let mut app = published_by(witness.table()).await;
    let first = cosigned_beyond(&app, 0).await;
    app.stop().await;
    forget(&app.home().path("data/ledger.db")).await;
    app.start_again().await.unwrap();
    cosigned_beyond(&app, first.size()).await;
    let asked = witness.asked();
    assert!(asked.iter().filter(|old| **old == 0).count() >= 2, "it was asked from nothing again: {asked:?}");
    app.finish().await;
}

/// Takes every cosignature out of the database.
async fn forget(path: &std::path::Path) {
    use sqlx::{ConnectOptions as _, Connection as _};
    let mut conn = sqlx::sqlite::SqliteConnectOptions::new().filename(path).connect().await.unwrap();
    sqlx::query("DELETE FROM cosignature").execute(&mut conn).await.unwrap();
    conn.close().await.unwrap();
}

#[tokio::test]
async fn a_dead_witness_and_one_with_another_key_hold_up_nobody_and_are_counted() {
    let (dead, impostor) = (Witness::start(1, Mood::Down).await, Witness::start(2, Mood::Impostor).await);
    let good = Witness::start(3, Mood::Honest).await;
    let app = published_by(dead.table() + &impostor.table() + &good.table()).await;
    let cosigned = cosigned_beyond(&app, 0).await;
    assert_eq!(cosigned.note().matches('\u{2014}').count(), 2, "the log's line and one witness's: {}", cosigned.note());
    assert!(good.key().cosignature(&cosigned).unwrap().is_some());
    app.low_mandate().await;
    let (_, metrics) = app.ops("/metrics").await;
    for failed in [&dead, &impostor] {
        let counted = format!("{{place=\"{}\",outcome=\"failed\"}}", failed.name());
        assert!(metrics.contains(&counted), "{counted} in {metrics}");
    }
    // It comes back, and gets what it missed.
    dead.set(Mood::Honest);
    let end = Instant::now() + PATIENCE;
    while dead.asked().is_empty() {
        assert!(Instant::now() < end, "it was not asked again");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    app.finish().await;
}

#[tokio::test]
async fn the_file_has_a_checkpoint_of_every_stop_and_a_ledger_that_was_put_back_is_noticed_by_it() {
    let mut app = published_by(String::new()).await;
    app.low_mandate().await;
    app.stop().await;
    let kept = app.home().path("kept.txt");
    let (found, incomplete) = notes::split(&std::fs::read_to_string(&kept).unwrap());
    assert_eq!(incomplete, 0);
    let sizes: Vec<_> = found.iter().map(|note| verifier(&app).verify(note).unwrap().size()).collect();
    assert!(sizes.windows(2).all(|pair| pair[0] < pair[1]), "{sizes:?}");
    let reader = SqliteReader::open(&app.home().path("data/ledger.db")).await.unwrap();
    let rows = atb::service::auditor::LogSource::head(&reader).await.unwrap().rows;
    reader.close().await;
    assert_eq!(sizes.last(), Some(&rows), "the last one covers the stop itself");

    // The operator puts an earlier copy of the ledger back, with its key: the file knows better.
    let database = app.home().path("data/ledger.db");
    std::fs::copy(&database, app.home().path("earlier.db")).unwrap();
    app.start_again().await.unwrap();
    app.low_mandate().await;
    app.stop().await;
    for rest in ["data/ledger.db-wal", "data/ledger.db-shm"] {
        let _ = std::fs::remove_file(app.home().path(rest));
    }
    std::fs::copy(app.home().path("earlier.db"), &database).unwrap();
    app.start_again().await.unwrap();
    let end = Instant::now() + PATIENCE;
    loop {
        let (_, metrics) = app.ops("/metrics").await;
        if metrics.contains("{place=\"file\",outcome=\"contradicted\"}") {
            break;
        }
        assert!(Instant::now() < end, "not noticed: {metrics}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    app.finish().await;
}
