//! What reaches the upstream and what comes back.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use atb::adapters::store::SqliteReader;
use atb::domain::id::Sha256Digest;
use atb::domain::ledger::{Entry, EventType, Outcome};
use axum::Router;
use axum::body::Body;
use axum::routing::get;
use bytes::Bytes;
use hyper::body::Frame;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::{Notify, mpsc};

use crate::app::{AGENT, Mark, TestApp, asking, the_call};

#[tokio::test]
async fn the_upstream_never_sees_a_mandate_a_statement_a_cookie_or_the_client_s_host() {
    let app = TestApp::start().await;
    let mandate = app.approved_mandate(&asking("high"), &["alice", "bob"]).await;
    let (method, path, body) = the_call("high");
    let bearer = format!("Bearer {mandate}");
    let headers = [
        ("authorization", bearer.as_str()),
        ("content-type", "application/json"),
        ("cookie", "session=secret"),
        ("proxy-authorization", "Basic c2VjcmV0"),
        ("forwarded", "for=10.0.0.1;host=evil.example"),
        ("x-forwarded-for", "10.0.0.1"),
        ("x-forwarded-host", "evil.example"),
        ("x-real-ip", "10.0.0.1"),
        ("x-spiffe-id", "spiffe://atb.dev/agent/procurement"),
        ("connection", "x-internal, x-atb-decision-id"),
        ("x-internal", "1"),
        ("te", "trailers"),
    ];
    let answer = app.to_broker(AGENT).send(method, path, &headers, body.unwrap().to_string().into_bytes()).await;
    assert_eq!(answer.status, 200, "{answer}");

    let seen = app.erp().seen();
    assert_eq!(seen.last, "POST /vendors/V-1001/bank-account");
    assert_eq!(seen.headers["host"], app.erp().address().to_string());
    for (name, value) in &seen.headers {
        let known =
            ["accept", "content-length", "content-type", "host", "user-agent", "x-atb-act", "x-atb-decision-id"];
        assert!(known.contains(&name.as_str()), "the ERP saw `{name}: {value}`");
        assert!(!value.contains("eyJ") && !value.contains("secret"), "the ERP saw `{name}: {value}`");
    }
    app.finish().await;
}

#[tokio::test]
async fn an_answer_its_decision_and_its_outcome_carry_one_id() {
    let app = TestApp::start().await;
    let mandate = app.low_mandate().await;
    let mark = app.mark().await;
    let answer = app.call("GET", "/c/erp/vendors/V-1001", &mandate, None).await;
    assert_eq!(answer.text("/vendor_id"), "V-1001");
    let [decision, outcome] = settled(&app, mark).await;
    let id = answer.header("x-atb-decision-id");
    assert_eq!(decision.subject.decision_id.unwrap().to_string(), id);
    assert_eq!(decision.subject.allow, Some(true));
    assert_eq!(outcome.subject.decision_id.unwrap().to_string(), id);
    assert_eq!((outcome.subject.outcome, outcome.subject.status), (Some(Outcome::Ok), Some(200)));
    assert_eq!(outcome.subject.response_bytes, Some(u64::try_from(answer.body.len()).unwrap()));

    // Who has the answer and the salt of the decision can tell that it is this one; its plain digest is nowhere.
    let digest = Sha256Digest::of(&answer.body);
    let reader = SqliteReader::open(&app.home().path("data/ledger.db")).await.unwrap();
    let decisions = reader.recorded_decisions(0, 1000).await.unwrap();
    reader.close().await;
    let of = |id| decisions.iter().find(|found| String::from_utf8_lossy(&found.body).contains(id)).unwrap();
    let salt = of(&decision.event_id.to_string()).openings.as_ref().unwrap().salt();
    assert_eq!(outcome.subject.response_digest, Some(salt.commit_response(digest)));
    let mut bytes = salt.as_bytes().to_vec();
    bytes.extend_from_slice(format!("\0/response/digest\0\"{digest}\"").as_bytes());
    assert_eq!(outcome.subject.response_digest, Some(Sha256Digest::of(&bytes)));
    crate::schemas::fits("ledger-entry", &serde_json::to_value(&outcome).unwrap());
    app.finish().await;
}

#[tokio::test]
async fn an_upstream_that_says_no_is_an_answer_like_any_other() {
    let app = TestApp::start().await;
    let mandate = app.low_mandate().await;
    let mark = app.mark().await;
    let answer = app.call("GET", "/c/erp/vendors/V-9999", &mandate, None).await;
    assert_eq!((answer.status, answer.text("/error").as_str()), (404, "no such vendor"));
    let [_, outcome] = settled(&app, mark).await;
    assert_eq!((outcome.subject.outcome, outcome.subject.status), (Some(Outcome::Ok), Some(404)));
    app.finish().await;
}

#[tokio::test]
async fn an_upstream_that_is_down_is_a_failed_outcome_of_a_spent_mandate() {
    let mut app = TestApp::start().await;
    let mandate = app.low_mandate().await;
    app.stop_erp();
    let mark = app.mark().await;
    let answer = app.call("GET", "/c/erp/vendors/V-1001", &mandate, None).await;
    assert_eq!(answer.status, 502, "{answer}");
    answer.assert_problem();
    assert_eq!(answer.text("/code"), "upstream_failed");
    let [decision, outcome] = settled(&app, mark).await;
    assert_eq!(decision.subject.decision_id.unwrap().to_string(), answer.text("/decision_id"));
    assert_eq!(outcome.subject.outcome, Some(Outcome::Failed));
    assert_eq!(outcome.subject.reason, Some(answer.reason()));
    // Whether the ERP acted is not for us to guess: it is never tried again.
    assert_eq!(app.call("GET", "/c/erp/vendors/V-1001", &mandate, None).await.verdict(), "409 mandate_replayed");
    app.finish().await;
}

#[tokio::test]
async fn an_answer_is_passed_on_while_the_upstream_still_sends_it() {
    const HALF: usize = 1 << 20;
    let gate = Arc::new(Notify::new());
    let address = upstream_in_two_halves(HALF, gate.clone()).await;
    let mut app = TestApp::start_with(|home| home.upstream(address)).await;
    app.stop_erp();
    let ask = json!({"act": "erp.order.read", "leg": asking("low")["leg"]});
    let mandate = app.issue(&ask).await.text("/token");
    let mark = app.mark().await;

    let mut stream = app.to_broker(AGENT).connect().await;
    let head = format!(
        "GET /c/erp/orders/O-2001 HTTP/1.1\r\nhost: broker\r\nauthorization: Bearer {mandate}\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut got = vec![0; HALF];
    // The second half is not sent before the first has arrived here.
    stream.read_exact(&mut got).await.unwrap();
    assert!(got.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&got[..200]));
    gate.notify_one();
    stream.read_to_end(&mut got).await.unwrap();
    assert_eq!(got.iter().filter(|byte| **byte == b'~').count(), 2 * HALF);

    let [_, outcome] = settled(&app, mark).await;
    assert_eq!(outcome.subject.response_bytes, Some(u64::try_from(2 * HALF).unwrap()));
    app.finish().await;
}

/// Answers with `half` bytes, and with as many again once the gate opens.
async fn upstream_in_two_halves(half: usize, gate: Arc<Notify>) -> SocketAddr {
    let answer = async move || {
        let (sender, receiver) = mpsc::channel(1);
        tokio::spawn(async move {
            sender.send(Bytes::from(vec![b'~'; half])).await.unwrap();
            gate.notified().await;
            sender.send(Bytes::from(vec![b'~'; half])).await.unwrap();
        });
        Body::new(Pieces(receiver))
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = Router::new().route("/orders/{id}", get(answer));
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

/// A body that ends with its channel.
struct Pieces(mpsc::Receiver<Bytes>);

impl hyper::body::Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(cx).map(|piece| piece.map(|data| Ok(Frame::data(data))))
    }
}

/// The decision and the outcome after `mark`; the outcome is recorded when the answer has ended.
async fn settled(app: &TestApp, mark: Mark) -> [Entry; 2] {
    let two = async {
        loop {
            let events = app.events_since(mark).await;
            if events.iter().any(|event| event.event_type == EventType::ConnectorOutcome) {
                return events;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let events = tokio::time::timeout(Duration::from_secs(20), two).await.expect("no outcome on record");
    events.try_into().unwrap_or_else(|events| panic!("not a decision and an outcome: {events:?}"))
}
