//! What an approver attests, through real doors: it counts when she signed that it is so, and from nowhere else.

use std::net::SocketAddr;

use atb::domain::approval::Statement;
use atb::domain::attestation::{AttestationName, Attested};
use atb::domain::ledger::EventType;
use axum::Router;
use axum::routing::post;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::app::{AGENT, Answer, Caller, Home, TestApp, ground};
use crate::process::{self, Ran};

const PATH: &str = "/customers/CU-1001/unlock";
const CHECKED: &str = "identity_checked";

/// A help desk that unlocks whatever it is told to.
async fn help_desk() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = Router::new().route("/customers/{id}/unlock", post(|| async { axum::Json(json!({"unlocked": true})) }));
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

/// A connector of its own beside the ERP's.
fn connector(upstream: SocketAddr) -> String {
    format!(
        r#"name = "desk"
title = "Help desk"
owner = "support@example.com"
data_class = "personal"
upstream = "http://{upstream}"
dev_plain_http = true

[limits]
connect_ms = 2000
request_ms = 10000
idle_ms = 10000
max_request_bytes = 65536
max_response_bytes = 65536
max_concurrent = 8

[[routes]]
method = "POST"
path = "/customers/{{customer_id}}/unlock"
act = "support.account.unlock"
body = "json"
"#
    )
}

async fn start() -> TestApp {
    let desk = help_desk().await;
    let mut app = TestApp::start_with(|home: &Home| {
        std::fs::write(home.path("connectors/desk.toml"), connector(desk)).unwrap();
    })
    .await;
    app.stop_erp();
    app
}

fn asking() -> Value {
    let params = json!({"customer_id": "CU-1001", "reason": "locked out after a change of phone"});
    let request = json!({"connector": "desk", "method": "POST", "path": PATH, "params": params});
    json!({"act": "support.account.unlock", "leg": ground(&[]), "request": request})
}

fn attested(names: &[&str]) -> Attested {
    names.iter().map(|name| name.parse::<AttestationName>().unwrap()).collect()
}

async fn hand_in(caller: &Caller, challenge: &str, statement: &Statement) -> Answer {
    let body = json!({ "statement": caller.sign(statement) });
    caller.post(&format!("/challenges/{challenge}/approve"), &body).await
}

/// `name` approves and attests.
async fn approve(app: &TestApp, name: &str, challenge: &str, names: &[&str]) -> Answer {
    let (caller, shown) = (app.to_issuer(name), app.shown(challenge).await);
    hand_in(&caller, challenge, &Statement { att: attested(names), ..caller.statement(&shown) }).await
}

async fn unlock(app: &TestApp, mandate: &str) -> Answer {
    let body = json!({"reason": "locked out after a change of phone"});
    app.to_broker(AGENT).call("POST", &format!("/c/desk{PATH}"), mandate, Some(&body)).await
}

#[tokio::test]
async fn a_challenge_waits_until_somebody_attests_what_the_catalogue_asks_for() {
    let app = start().await;
    let challenge = app.challenge(&asking()).await;
    let shown = app.shown(&challenge).await;
    assert!(shown["view"]["attestations"][CHECKED].as_str().unwrap().contains("identity was checked"), "{shown}");
    for name in ["alice", "bob"] {
        let answer = approve(&app, name, &challenge, &[]).await;
        assert_eq!((answer.status, answer.text("/state")), (200, "pending".to_owned()), "{name}: {answer}");
    }
    let waiting = app.collect(&challenge).await;
    assert_eq!(waiting.status, 202, "{waiting}");
    assert_eq!(waiting.json["missing"]["attestations"], json!([CHECKED]), "{waiting}");
    assert_eq!(waiting.json["missing"]["approvals"], json!(1), "somebody else must: {waiting}");

    let carol = approve(&app, "carol", &challenge, &[CHECKED]).await;
    assert_eq!((carol.status, carol.text("/state")), (200, "approved".to_owned()), "{carol}");
    let minted = app.collect(&challenge).await;
    assert_eq!(minted.status, 201, "{minted}");
    let answer = unlock(&app, &minted.text("/token")).await;
    assert_eq!((answer.status, &answer.json), (200, &json!({"unlocked": true})), "{answer}");
    app.finish().await;
}

#[tokio::test]
async fn what_nobody_asked_to_be_attested_is_not_signed_for() {
    let app = start().await;
    let challenge = app.challenge(&asking()).await;
    for names in [&["area_clear"][..], &["area_clear", CHECKED]] {
        let mark = app.mark().await;
        let answer = approve(&app, "alice", &challenge, names).await;
        assert_eq!(answer.verdict(), "403 statement_attestation", "{names:?}: {answer}");
        let event = TestApp::only(app.events_since(mark).await, "area_clear");
        assert_eq!(event.event_type, EventType::PoaApprovalRefused);
        assert_eq!(event.subject.reason, Some(answer.reason()));
    }
    let genuine = approve(&app, "alice", &challenge, &[CHECKED]).await;
    assert_eq!((genuine.status, &genuine.json["approved"]), (200, &json!(1)), "{genuine}");
    app.finish().await;
}

#[tokio::test]
async fn an_agent_cannot_attest_in_its_request_its_parameters_or_its_constraints() {
    let app = start().await;
    for (pointer, value) in [("/att", json!([CHECKED])), ("/attestations", json!([CHECKED]))] {
        let mut ask = asking();
        ask[&pointer[1..]] = value;
        assert_eq!(app.issue(&ask).await.status, 422, "{pointer}");
    }
    let mut ask = asking();
    ask["request"]["params"][CHECKED] = json!(true);
    let answer = app.issue(&ask).await;
    assert!((400..500).contains(&answer.status), "{answer}");
    for con in [json!({CHECKED: true}), json!({"att": {"in": [CHECKED]}}), json!({"attestations": {"eq": CHECKED}})] {
        let mut ask = asking();
        ask["con"] = con;
        let answer = app.issue(&ask).await;
        // Refused, or a challenge that needs it all the same.
        if answer.status == 202 {
            let challenge = answer.text("/challenge_id");
            for name in ["alice", "bob"] {
                let voted = approve(&app, name, &challenge, &[]).await;
                assert_eq!(voted.text("/state"), "pending", "{voted}");
            }
        } else {
            assert!((400..500).contains(&answer.status), "{answer}");
        }
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approver_attests_from_the_command_line() {
    let home = process::Home::new();
    std::fs::write(home.file("connectors/desk.toml"), connector(help_desk().await)).unwrap();
    let served = home.serve();
    served.publish(&home);
    let issue = |more: &[&str]| {
        let mut command =
            home.atb(["issue", "--as", "procurement", "support.account.unlock", "--template", "contract"]);
        for var in ["contract_ref=MSA-1001", "accountable_id=erin", "jurisdiction=DE", "order=O-2001"] {
            command.args(["--var", var]);
        }
        Ran::of(command.args(more)).ok().out.trim().to_owned()
    };
    let params = r#"{"customer_id":"CU-1001","reason":"locked out"}"#;
    let challenge = issue(&["--request", &format!("POST desk {PATH}"), "--params", params]);

    let unasked = home.run(["approve", "--as", "alice", &challenge, "--yes", "--attest", "area_clear"]);
    assert_eq!((unasked.code, unasked.err.contains("`area_clear`")), (2, true), "{unasked:?}");
    let alice = home.run(["approve", "--as", "alice", &challenge, "--yes"]).ok();
    assert!(alice.out.contains("to be attested"), "{alice:?}");
    assert!(alice.err.contains("not attested: identity_checked"), "{alice:?}");
    let bob = home.run(["approve", "--as", "bob", &challenge, "--yes"]).ok();
    assert!(bob.out.contains("pending, 2 of 2 approved; nobody has attested"), "{bob:?}");
    let carol = home.run(["approve", "--as", "carol", &challenge, "--yes", "--attest", CHECKED]).ok();
    assert!(carol.out.contains("approved, 3 of 2 approved"), "{carol:?}");

    issue(&["--collect", &challenge, "--out", "unlock.jwt"]);
    let path = format!("desk{PATH}");
    let call = ["call", "--as", "procurement", "--mandate", "unlock.jwt", "POST", &path, "--body"];
    let called = Ran::of(home.atb(call).arg(r#"{"reason":"locked out"}"#)).ok();
    assert!(called.out.contains("unlocked"), "{called:?}");
    served.terminate();
    assert!(served.exited().await.success());
    home.assert_intact();
}
