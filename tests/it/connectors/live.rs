//! Connectors while the services run: rates, circuits, other files in force, sign-offs. Whatever is refused here is refused
//! before the burn: the same mandate serves later.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use atb::domain::ledger::{Entry, EventType};
use axum::Router;
use axum::routing::any;
use base64ct::{Base64UrlUnpadded, Encoding as _};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::app::{AGENT, Answer, Home, OTHER, TestApp};
use crate::process::PATIENCE;
use crate::schemas::fits;

const CONNECTOR: &str = "connectors/erp.toml";
const CALL: &str = "/c/erp/vendors/V-1001";

/// Adds tables at the end of the connector file.
fn add(home: &Home, tables: &str) {
    let text = std::fs::read_to_string(home.path(CONNECTOR)).unwrap();
    std::fs::write(home.path(CONNECTOR), format!("{text}\n{tables}")).unwrap();
}

/// Waits for the `count`th entry of a kind, which fits its schema.
pub(super) async fn entry(app: &TestApp, kind: EventType, count: usize) -> Entry {
    let until = Instant::now() + PATIENCE;
    loop {
        let events = app.events_of(kind).await;
        if events.len() >= count {
            assert_eq!(events.len(), count, "{events:?}");
            let newest = events.into_iter().next_back().unwrap();
            fits("ledger-entry", &serde_json::to_value(&newest).unwrap());
            return newest;
        }
        assert!(Instant::now() < until, "no {} {count}", kind.as_str());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

pub(super) async fn activated(app: &TestApp, count: usize) -> Entry {
    app.reload();
    entry(app, EventType::ConnectorsActivated, count).await
}

pub(super) async fn call(app: &TestApp, mandate: &str) -> Answer {
    app.call("GET", CALL, mandate, None).await
}

fn wait_of(answer: &Answer) -> u64 {
    answer.header("retry-after").parse().unwrap()
}

/// An upstream that answers everybody at once, or once it is let.
async fn upstream(open: bool) -> (SocketAddr, watch::Sender<bool>, Arc<AtomicUsize>) {
    let (open, opened) = watch::channel(open);
    let hits = Arc::<AtomicUsize>::default();
    let seen = Arc::clone(&hits);
    let answer = move || {
        let mut opened = opened.clone();
        seen.fetch_add(1, Ordering::SeqCst);
        async move {
            let _ = opened.wait_for(|open| *open).await;
            "{}"
        }
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(any(answer))).await });
    (address, open, hits)
}

async fn hits_are(hits: &AtomicUsize, count: usize) {
    let until = Instant::now() + PATIENCE;
    while hits.load(Ordering::SeqCst) < count {
        assert!(Instant::now() < until, "the upstream never saw {count}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn an_agent_that_calls_too_often_waits_and_its_mandate_is_good_later() {
    let app = TestApp::start_with(|home| add(home, "[rate]\nagent_per_minute = 1\nagent_burst = 1\n")).await;
    let (first, second) = (app.low_mandate().await, app.low_mandate().await);
    assert_eq!(call(&app, &first).await.status, 200);
    let mark = app.mark().await;
    for _ in 0..3 {
        let answer = call(&app, &second).await;
        assert_eq!(answer.verdict(), "429 agent_rate", "{answer}");
        answer.assert_problem();
        assert!((1..=60).contains(&wait_of(&answer)), "{answer}");
    }
    assert_eq!(app.erp_hits(), 1);
    // Another agent has a budget of its own: what refuses it is that the mandate is not its.
    let stranger = app.to_broker(OTHER).call("GET", CALL, &second, None).await;
    assert_eq!(stranger.status, 403, "{stranger}");
    let sum = entry(&app, EventType::RequestsThrottled, 1).await;
    assert_eq!(sum.subject.agent, Some(app.id_of(AGENT)));
    assert!(app.events_since(mark).await.iter().all(|e| e.event_type != EventType::PoaSingleUseReplayBlocked));
    // Another file without the rate: what was refused was never spent.
    app.home().replace(CONNECTOR, "agent_per_minute = 1\nagent_burst = 1\n", "agent_per_minute = 6000\n");
    activated(&app, 2).await;
    assert_eq!(call(&app, &second).await.status, 200);
    app.finish().await;
}

#[tokio::test]
async fn all_agents_share_a_connectors_rate_and_a_reload_of_the_same_rate_forgets_nothing() {
    let app = TestApp::start_with(|home| add(home, "[rate]\nper_minute = 1\nburst = 1\n")).await;
    let (first, second) = (app.low_mandate().await, app.low_mandate().await);
    assert_eq!(call(&app, &first).await.status, 200);
    let answer = call(&app, &second).await;
    assert_eq!(answer.verdict(), "429 connector_rate", "{answer}");
    assert!((1..=60).contains(&wait_of(&answer)), "{answer}");
    app.home().replace(CONNECTOR, "Sample ERP", "The same ERP");
    activated(&app, 2).await;
    assert_eq!(call(&app, &second).await.verdict(), "429 connector_rate");
    app.home().replace(CONNECTOR, "[rate]\nper_minute = 1\nburst = 1\n", "");
    activated(&app, 3).await;
    assert_eq!(call(&app, &second).await.status, 200);
    app.finish().await;
}

#[tokio::test]
async fn an_upstream_that_fails_is_left_alone_and_the_next_mandate_is_not_spent_on_it() {
    let settings = ("failures = 10\nopen_ms = 5000", "failures = 2\nopen_ms = 600000");
    let mut app = TestApp::start_with(|home| home.replace(CONNECTOR, settings.0, settings.1)).await;
    let last = app.low_mandate().await;
    let lost = [app.low_mandate().await, app.low_mandate().await];
    app.stop_erp();
    for mandate in &lost {
        assert_eq!(call(&app, mandate).await.status, 502);
    }
    let answer = call(&app, &last).await;
    assert_eq!(answer.verdict(), "503 connector_circuit_open", "{answer}");
    assert!((1..=600).contains(&wait_of(&answer)), "{answer}");
    let until = Instant::now() + PATIENCE;
    while !app.ops("/metrics").await.1.contains("atb_connector_circuit_state{connector=\"erp\"} 2") {
        assert!(Instant::now() < until, "the open circuit is not shown");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(app.ops("/metrics").await.1.contains("atb_connector_circuit_opened_total{connector=\"erp\"} 1"));
    // Another upstream has another circuit.
    let (address, _open, _) = upstream(true).await;
    app.home().upstream(address);
    activated(&app, 2).await;
    assert_eq!(call(&app, &last).await.status, 200);
    app.finish().await;
}

#[tokio::test]
async fn wrong_files_change_nothing_and_are_on_record_once() {
    let app = TestApp::start().await;
    entry(&app, EventType::ConnectorsActivated, 1).await;
    let good = std::fs::read_to_string(app.home().path(CONNECTOR)).unwrap();
    add(&app.home(), "[rates]\nper_minute = 1\n");
    app.reload();
    let refused = entry(&app, EventType::ConnectorsRefused, 1).await;
    assert_eq!(refused.subject.reason.as_deref(), Some("connectors_invalid"));
    let finding = &refused.subject.detail["finding"];
    assert!(finding.contains("erp.toml:") && finding.contains("did you mean `rate`?"), "{finding}");
    app.reload();
    app.reload();
    assert_eq!(call(&app, &app.low_mandate().await).await.status, 200);
    // A second connector that is wrong refuses the first one's change too.
    std::fs::write(app.home().path(CONNECTOR), good.replace("[limits]", "enabled = false\n[limits]")).unwrap();
    std::fs::write(app.home().path("connectors/crm.toml"), "name = \"crm\"\n").unwrap();
    app.reload();
    entry(&app, EventType::ConnectorsRefused, 2).await;
    assert_eq!(call(&app, &app.low_mandate().await).await.status, 200);
    std::fs::remove_file(app.home().path("connectors/crm.toml")).unwrap();
    let mandate = app.low_mandate().await;
    activated(&app, 2).await;
    assert_eq!(call(&app, &mandate).await.verdict(), "404 connector_disabled");
    // As it was: nothing new to refuse, and the mandate was not spent.
    std::fs::write(app.home().path(CONNECTOR), good).unwrap();
    activated(&app, 3).await;
    assert_eq!(call(&app, &mandate).await.status, 200);
    assert_eq!(app.events_of(EventType::ConnectorsRefused).await.len(), 2);
    app.finish().await;
}

#[tokio::test]
async fn a_call_under_way_ends_on_the_connector_that_it_began_with() {
    let (address, open, hits) = upstream(false).await;
    let mut app = TestApp::start_with(|home| home.upstream(address)).await;
    app.stop_erp();
    let (first, second) = (app.low_mandate().await, app.low_mandate().await);
    let under_way = call(&app, &first);
    let meanwhile = async {
        hits_are(&hits, 1).await;
        app.home().replace(CONNECTOR, "[limits]", "enabled = false\n[limits]");
        activated(&app, 2).await;
        assert_eq!(call(&app, &second).await.verdict(), "404 connector_disabled");
        open.send_replace(true);
    };
    let (answer, ()) = tokio::join!(under_way, meanwhile);
    assert_eq!(answer.status, 200, "{answer}");
    app.finish().await;
}

fn sign(home: &Path, role: &str, name: &str) -> (bool, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_atb"))
        .args(["connector", "sign", "connectors/erp.toml", "--role", role, "--as", name, "--home", "."])
        .current_dir(home)
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(said).unwrap())
}

#[tokio::test]
async fn only_what_security_and_legal_have_signed_is_in_force() {
    let signers = "[broker]\nrequire_signed_connectors = true\nconnector_signers = [\n\
        { id = \"spiffe://atb.dev/approver/alice\", person = \"alice\", role = \"security\" },\n\
        { id = \"spiffe://atb.dev/approver/bob\", person = \"bob\", role = \"legal\" },\n]\n";
    let mut app = TestApp::start_with(|home| {
        home.replace("atb.toml", "[broker]\n", signers);
        for (role, name) in [("security", "alice"), ("legal", "bob")] {
            let (signed, said) = sign(&home.path(""), role, name);
            assert!(signed && said.contains(role), "{said}");
        }
    })
    .await;
    let home = app.home().path("");
    let file = std::fs::read(home.join("connectors/erp.sigs.json")).unwrap();
    let file: serde_json::Value = serde_json::from_slice(&file).unwrap();
    fits("connector-signatures", &file);
    let signatures = file["signatures"].as_array().unwrap();
    assert_eq!(signatures.len(), 2);
    for jws in signatures {
        let claims = jws.as_str().unwrap().split('.').nth(1).unwrap();
        let claims = Base64UrlUnpadded::decode_vec(claims).unwrap();
        fits("connector-sign-off", &serde_json::from_slice(&claims).unwrap());
    }
    assert_eq!(call(&app, &app.low_mandate().await).await.status, 200);

    for (role, name) in [("legal", "alice"), ("security", "carol")] {
        let (signed, said) = sign(&home, role, name);
        assert!(!signed && said.contains("connector_signers"), "{said}");
    }
    // One byte more, and nobody has signed it.
    add(&app.home(), "# changed\n");
    app.reload();
    let refused = entry(&app, EventType::ConnectorsRefused, 1).await;
    assert_eq!(refused.subject.reason.as_deref(), Some("sign_off_digest"));
    assert_eq!(call(&app, &app.low_mandate().await).await.status, 200, "the last good one stays");
    // A new sign-off of one takes the old ones out: half a set.
    assert!(sign(&home, "security", "alice").0);
    app.reload();
    let refused = entry(&app, EventType::ConnectorsRefused, 2).await;
    assert_eq!(refused.subject.reason.as_deref(), Some("sign_off_missing"));
    app.stop().await;
    let why = app.start_again().await.unwrap_err();
    assert!(why.contains("legal has not signed it off") && why.contains("atb connector sign"), "{why}");
    assert!(sign(&home, "legal", "bob").0);
    app.start_again().await.unwrap();

    let listed = Command::new(env!("CARGO_BIN_EXE_atb"))
        .args(["connector", "list", "connectors", "--config", "atb.toml", "--format", "json"])
        .current_dir(&home)
        .output()
        .unwrap();
    let listed: serde_json::Value = serde_json::from_slice(&listed.stdout).unwrap();
    assert_eq!(listed[0]["signatures"]["complete"], true, "{listed:#}");
    assert_eq!(listed[0]["signatures"]["signed"][1]["by"], "spiffe://atb.dev/approver/bob");
    let lint = |more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_atb"));
        command.args(["connector", "lint", "connectors", "--config", "atb.toml"]).args(more).current_dir(&home);
        command.output().unwrap().status.code()
    };
    assert_eq!(lint(&[]), Some(0));
    // Somebody else's signature under hers.
    let path = home.join("connectors/erp.sigs.json");
    let text = std::fs::read_to_string(&path).unwrap();
    let (head, tail) = text.split_at(text.find("\",").unwrap() - 8);
    std::fs::write(&path, format!("{head}AAAA{}", &tail[4..])).unwrap();
    assert_eq!(lint(&[]), Some(1));
    std::fs::write(&path, text).unwrap();
    app.finish().await;
}
