//! Upstreams that mean harm, through the real door: whatever they do is bounded, on record once, and reaches nobody else.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use atb::domain::ledger::{Entry, EventType, Outcome};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::app::{AGENT, TestApp};
use crate::process::PATIENCE;

const CALL: &str = "/c/erp/vendors/V-1001";

/// An upstream that counts its requests and answers each with the same bytes, then holds the connection for a while.
async fn scripted(answer: Vec<u8>, hold: Duration) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, hits) = (listener.local_addr().unwrap(), Arc::<AtomicUsize>::default());
    let seen = Arc::clone(&hits);
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let (seen, answer) = (Arc::clone(&seen), answer.clone());
            tokio::spawn(async move {
                if socket.read(&mut [0; 4096]).await.is_ok_and(|count| count > 0) {
                    seen.fetch_add(1, Ordering::SeqCst);
                }
                let _ = socket.write_all(&answer).await;
                tokio::time::sleep(hold).await;
            });
        }
    });
    (address, hits)
}

/// The services before such an upstream, with small limits.
async fn before(answer: Vec<u8>, hold: Duration) -> (TestApp, Arc<AtomicUsize>) {
    let (address, hits) = scripted(answer, hold).await;
    let mut app = TestApp::start_with(|home| {
        home.upstream(address);
        home.replace("connectors/erp.toml", "request_ms = 10000", "request_ms = 1500");
        home.replace("connectors/erp.toml", "idle_ms = 10000", "idle_ms = 1500");
        home.replace("connectors/erp.toml", "max_response_bytes = 4194304", "max_response_bytes = 1000");
    })
    .await;
    app.stop_erp();
    (app, hits)
}

async fn outcome(app: &TestApp) -> Entry {
    let until = Instant::now() + PATIENCE;
    loop {
        let events = app.events_of(EventType::ConnectorOutcome).await;
        if let [outcome] = &events[..] {
            return outcome.clone();
        }
        assert!(events.is_empty() && Instant::now() < until, "{events:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn an_upstream_without_an_acceptable_answer_is_a_failed_outcome_and_is_asked_once() {
    let head = |more: &str| format!("HTTP/1.1 200 OK\r\n{more}\r\n").into_bytes();
    let long = "x".repeat(1_000_000);
    let cases = [
        ("it hangs", Vec::new(), "504 upstream_timeout"),
        ("it hangs up", b"HTTP/1.1".to_vec(), "502 upstream_broken"),
        ("it is no HTTP", b"\x15\x03\x01\r\n\r\n\r\n".to_vec(), "502 upstream_broken"),
        (
            "it switches protocols",
            b"HTTP/1.1 101 X\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n".to_vec(),
            "502 upstream_switched_protocol",
        ),
        ("it announces too much", head("content-length: 1001\r\n"), "502 upstream_answer_too_large"),
        ("its head is too large", head(&format!("x: {long}\r\n")), "502 upstream_broken"),
        ("its head has too many lines", head(&"x: y\r\n".repeat(500)), "502 upstream_broken"),
        ("two lengths", head("content-length: 2\r\ncontent-length: 3\r\n"), "502 upstream_broken"),
    ];
    for (what, answer, verdict) in cases {
        let hold = if answer.is_empty() { PATIENCE } else { Duration::ZERO };
        let (app, hits) = before(answer, hold).await;
        let mandate = app.low_mandate().await;
        let answer = app.call("GET", CALL, &mandate, None).await;
        assert_eq!(answer.verdict(), verdict, "{what}: {answer}");
        answer.assert_problem();
        let outcome = outcome(&app).await;
        assert_eq!(outcome.subject.outcome, Some(Outcome::Failed), "{what}");
        assert_eq!(outcome.subject.reason, Some(answer.reason()), "{what}");
        assert_eq!(hits.load(Ordering::SeqCst), 1, "{what}");
        app.finish().await;
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_behind_its_head_does_not_pass_for_a_whole_one() {
    let cases = [
        (
            "a body without end",
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n".to_vec(),
            PATIENCE,
            "upstream_idle",
        ),
        ("a reset", b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello".to_vec(), Duration::ZERO, "upstream_broken"),
        (
            "more than announced limits",
            [&b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n7d0\r\n"[..], &[b'x'; 2000], b"\r\n0\r\n\r\n"]
                .concat(),
            Duration::ZERO,
            "upstream_answer_too_large",
        ),
        (
            "chunks that are none",
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n".to_vec(),
            Duration::ZERO,
            "upstream_broken",
        ),
    ];
    for (what, answer, hold, reason) in cases {
        let (app, hits) = before(answer, hold).await;
        let mandate = app.low_mandate().await;
        let mut stream = app.to_broker(AGENT).connect().await;
        let head = format!("GET {CALL} HTTP/1.1\r\nhost: broker\r\nauthorization: Bearer {mandate}\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut got = Vec::new();
        let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut got)).await.expect("the connection ends");
        let got = String::from_utf8_lossy(&got);
        assert!(!got.ends_with("0\r\n\r\n"), "{what}: a cut answer was closed in order: {got}");
        let outcome = outcome(&app).await;
        assert_eq!(outcome.subject.outcome, Some(Outcome::Failed), "{what}");
        assert_eq!(outcome.subject.reason.as_deref(), Some(reason), "{what}");
        assert_eq!(hits.load(Ordering::SeqCst), 1, "{what}");
        app.finish().await;
    }
}

#[tokio::test]
async fn redirects_interim_answers_and_compressed_bodies_are_passed_on_as_they_are_and_not_followed() {
    let (other, elsewhere) = scripted(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".to_vec(), Duration::ZERO).await;
    // 20 bytes that say they are gzip: nobody here looks into them.
    let answer = format!(
        "HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 302 Found\r\nlocation: http://{other}/\r\ncontent-encoding: gzip\r\n\
         set-cookie: session=1\r\nx-atb-decision-id: forged\r\nconnection: x-hop\r\nx-hop: 1\r\nkeep-alive: timeout=5\r\n\
         content-length: 20\r\n\r\n{}",
        "z".repeat(20)
    );
    let (app, hits) = before(answer.into_bytes(), Duration::ZERO).await;
    let mandate = app.low_mandate().await;
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let bearer = format!("Bearer {mandate}");
    let headers = [("authorization", bearer.as_str()), ("traceparent", trace)];
    let answer = app.to_broker(AGENT).send("GET", CALL, &headers, Vec::new()).await;
    assert_eq!(answer.status, 302, "{answer}");
    assert_eq!(answer.body, b"zzzzzzzzzzzzzzzzzzzz");
    assert_eq!(
        (answer.header("content-encoding").as_str(), answer.header("location")),
        ("gzip", format!("http://{other}/"))
    );
    for gone in ["set-cookie", "x-hop", "keep-alive", "link"] {
        assert_eq!(answer.header(gone), "", "{gone}");
    }
    assert_ne!(answer.header("x-atb-decision-id"), "forged");
    assert_eq!((hits.load(Ordering::SeqCst), elsewhere.load(Ordering::SeqCst)), (1, 0));
    assert_eq!(outcome(&app).await.subject.status, Some(302));
    let decision = app.events_of(EventType::BrokerDecision).await.pop().unwrap();
    assert_eq!(decision.subject.detail["trace_id"], "4bf92f3577b34da6a3ce929d0e0e4736");
    app.finish().await;
}
