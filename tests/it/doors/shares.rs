//! Fair shares by SPIFFE ID: who floods is refused, whoever else comes is served, and a forwarded address says nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use atb::domain::ledger::{Entry, EventType};
use axum::Router;
use axum::routing::any;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::app::{AGENT, OTHER, TestApp};
use crate::process::PATIENCE;
use crate::schemas::fits;

/// An upstream that answers nobody before it is let.
async fn waiting_upstream() -> (std::net::SocketAddr, watch::Sender<bool>, Arc<AtomicUsize>) {
    let (open, opened) = watch::channel(false);
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

/// The sums of one reason, once they say `count` in all.
async fn throttled(app: &TestApp, reason: &str, count: u64) -> Vec<Entry> {
    let until = Instant::now() + PATIENCE;
    loop {
        let mut sums = app.events_of(EventType::RequestsThrottled).await;
        sums.retain(|sum| sum.subject.reason.as_deref() == Some(reason));
        let counted: u64 = sums.iter().map(|sum| sum.subject.detail["count"].parse::<u64>().unwrap()).sum();
        if counted >= count {
            assert_eq!(counted, count, "{sums:?}");
            return sums;
        }
        assert!(Instant::now() < until, "{reason} {counted} of {count}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn an_agent_that_floods_is_refused_beyond_its_share_and_everybody_else_is_served() {
    let (address, open, hits) = waiting_upstream().await;
    let mut app = TestApp::start_with(|home| {
        home.upstream(address);
        home.configure("[limits]\nagent_requests = 2\n");
    })
    .await;
    app.stop_erp();
    let mut mandates = Vec::new();
    for _ in 0..3 {
        mandates.push(app.low_mandate().await);
    }
    let [last, held @ ..] = &mandates[..] else { panic!("three were issued") };
    // Each on a connection of its own: the share is the identity's, not the connection's.
    let held: Vec<_> = held.iter().map(|mandate| app.call("GET", "/c/erp/vendors/V-1001", mandate, None)).collect();
    let flood = async {
        // Both are under way before the third comes.
        let until = Instant::now() + PATIENCE;
        while hits.load(Ordering::SeqCst) < 2 {
            assert!(Instant::now() < until, "the two never arrived");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let bearer = format!("Bearer {last}");
        for n in 0..5 {
            let address = format!("10.0.0.{n}");
            let headers =
                [("authorization", bearer.as_str()), ("x-forwarded-for", &address), ("forwarded", "for=10.1.1.1")];
            let answer = app.to_broker(AGENT).send("GET", "/c/erp/vendors/V-1001", &headers, Vec::new()).await;
            assert_eq!(answer.verdict(), "429 agent_requests", "{answer}");
            answer.assert_problem();
            assert_eq!(answer.header("retry-after"), "1");
        }
        // Whoever says that it comes from the same place is somebody else all the same.
        let answer = app.to_broker(OTHER).send("GET", "/nothing", &[("x-forwarded-for", "10.0.0.1")], Vec::new()).await;
        assert_eq!(answer.verdict(), "404 not_found");
        open.send_replace(true);
    };
    let (answers, ()) = tokio::join!(futures_util::future::join_all(held), flood);
    assert!(answers.iter().all(|answer| answer.status == 200), "{answers:?}");
    let sums = throttled(&app, "agent_requests", 5).await;
    for sum in &sums {
        assert_eq!(sum.subject.agent, Some(app.id_of(AGENT)));
        fits("ledger-entry", &serde_json::to_value(sum).unwrap());
    }
    assert!(app.ops("/metrics").await.1.contains("atb_requests_throttled_total{reason=\"agent_requests\"} 5"));
    // What was refused was not spent.
    assert_eq!(app.call("GET", "/c/erp/vendors/V-1001", last, None).await.status, 200);
    app.finish().await;
}

#[tokio::test]
async fn one_identity_holds_no_more_connections_than_its_share() {
    let app = TestApp::start_with(|home| home.configure("[limits]\nagent_connections = 3\n")).await;
    let (agent, other) = (app.to_broker(AGENT), app.to_broker(OTHER));
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(agent.connect().await);
    }
    // The handshake of the fourth is done before it is known whose it is; then it ends without an answer.
    let mut fourth = agent.connect().await;
    let _ = fourth.write_all(b"GET /nothing HTTP/1.1\r\nhost: broker\r\n\r\n").await;
    let mut answer = Vec::new();
    let _ = fourth.read_to_end(&mut answer).await;
    assert_eq!(answer, b"");
    assert_eq!(other.get("/nothing").await.status, 404);
    throttled(&app, "agent_connections", 1).await;
    drop(held);
    let until = Instant::now() + PATIENCE;
    while app.to_broker(AGENT).try_get("/nothing").await != Ok(404) {
        assert!(Instant::now() < until, "places of closed connections are not given back");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    app.finish().await;
}

#[tokio::test]
async fn clients_that_never_finish_their_head_hold_nobody_up() {
    let app = TestApp::start().await;
    let agent = app.to_broker(AGENT);
    let mut slow = Vec::new();
    for _ in 0..100 {
        let mut stream = agent.connect().await;
        stream.write_all(b"GET /nothing HTTP/1.1\r\nhost: bro").await.unwrap();
        slow.push(stream);
    }
    let begun = Instant::now();
    assert_eq!(app.to_broker(OTHER).get("/nothing").await.status, 404);
    assert!(begun.elapsed() < PATIENCE);
    // One byte at a time is a request all the same.
    let mut last = slow.pop().unwrap();
    for byte in b"ker\r\nconnection: close\r\n\r\n" {
        last.write_all(&[*byte]).await.unwrap();
        last.flush().await.unwrap();
    }
    let mut answer = String::new();
    last.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
    drop(slow);
    app.finish().await;
}
