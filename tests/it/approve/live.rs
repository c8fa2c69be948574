//! `GET /challenges/events`: the queue as a reader of raw HTTP sees it.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::app::{TestApp, asking};

/// One event: id, kind, data.
type Told = (u64, String, Value);

struct Reader(Lines<BufReader<TlsStream<TcpStream>>>);

impl Reader {
    /// Follows as `name`; the stream must be one.
    async fn follow(app: &TestApp, name: &str, last: Option<u64>) -> Self {
        let (head, reader) = Self::ask(app, name, last.map(|id| id.to_string()).as_deref()).await;
        assert!(head[0].starts_with("http/1.1 200"), "{head:?}");
        assert!(head.contains(&"content-type: text/event-stream".to_owned()), "{head:?}");
        assert!(head.contains(&"cache-control: no-store".to_owned()), "{head:?}");
        reader
    }

    async fn ask(app: &TestApp, name: &str, last: Option<&str>) -> (Vec<String>, Self) {
        let mut stream = app.to_issuer(name).connect().await;
        let last = last.map(|id| format!("last-event-id: {id}\r\n")).unwrap_or_default();
        let request =
            format!("GET /challenges/events HTTP/1.1\r\nhost: atb\r\naccept: text/event-stream\r\n{last}\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut lines = BufReader::new(stream).lines();
        let mut head = Vec::new();
        loop {
            let line = lines.next_line().await.unwrap().unwrap();
            if line.is_empty() {
                return (head, Self(lines));
            }
            head.push(line.to_lowercase());
        }
    }

    /// The next event; `None` when the stream ends.
    async fn next(&mut self) -> Option<Told> {
        let read = async {
            let (mut id, mut kind) = (0, String::new());
            // An end without a good-bye of TLS is an end too.
            while let Ok(Some(line)) = self.0.next_line().await {
                // Between events stand the sizes of HTTP's chunks.
                match line.split_once(": ") {
                    Some(("id", value)) => id = value.parse().unwrap(),
                    Some(("event", value)) => kind = value.to_owned(),
                    Some(("data", value)) => return Some((id, kind, serde_json::from_str(value).unwrap())),
                    _ => {}
                }
            }
            None
        };
        tokio::time::timeout(Duration::from_secs(30), read).await.expect("nothing was told")
    }

    /// The next thing that happened: the entry's number, what, and to which challenge.
    async fn turn(&mut self) -> (u64, String, String) {
        let (id, kind, data) = self.next().await.expect("the stream ended");
        assert_eq!(kind, "challenge", "{data}");
        (id, data["event"].as_str().unwrap().to_owned(), data["challenge"]["challenge_id"].as_str().unwrap().to_owned())
    }
}

#[tokio::test]
async fn what_happens_is_told_in_order_and_once_also_to_whoever_was_away() {
    let app = TestApp::start().await;
    let mut alice = Reader::follow(&app, "alice", None).await;
    let (_, kind, _) = alice.next().await.unwrap();
    assert_eq!(kind, "ready");
    let challenge = app.challenge(&asking("high")).await;
    let (created, what, id) = alice.turn().await;
    assert_eq!((what.as_str(), &id), ("created", &challenge));

    drop(alice);
    assert_eq!(app.approve("bob", &challenge).await.status, 200);
    assert_eq!(app.approve("carol", &challenge).await.status, 200);
    let mut alice = Reader::follow(&app, "alice", Some(created)).await;
    let mut last = created;
    for expected in ["vote", "approved"] {
        let (seq, what, id) = alice.turn().await;
        assert_eq!((what.as_str(), &id), (expected, &challenge));
        assert!(seq > last);
        last = seq;
    }
    assert_eq!(app.collect(&challenge).await.status, 201);
    let (_, kind, data) = alice.next().await.unwrap();
    assert_eq!((kind.as_str(), &data["event"]), ("challenge", &json!("redeemed")));
    // What is told of a challenge is what the list has, to the letter.
    let listed = app.to_issuer("alice").get("/challenges").await;
    assert_eq!(data["challenge"], listed.json["challenges"][0]);
    assert_eq!(data["challenge"]["state"], "redeemed");

    let rejected = app.challenge(&asking("medium")).await;
    let no = app.to_issuer("bob").post(&format!("/challenges/{rejected}/reject"), &json!({"reason": "no"})).await;
    assert_eq!(no.status, 200);
    for expected in ["created", "rejected"] {
        let (_, what, id) = alice.turn().await;
        assert_eq!((what.as_str(), &id), (expected, &rejected));
    }
    app.finish().await;
}

#[tokio::test]
async fn time_that_runs_out_is_told() {
    let app = TestApp::start_with(|home| home.challenges_last(1)).await;
    let mut alice = Reader::follow(&app, "alice", None).await;
    alice.next().await.unwrap();
    let challenge = app.challenge(&asking("medium")).await;
    for expected in ["created", "expired"] {
        let (_, what, id) = alice.turn().await;
        assert_eq!((what.as_str(), &id), (expected, &challenge));
    }
    app.finish().await;
}

#[tokio::test]
async fn each_is_told_only_what_she_may_see() {
    let app = TestApp::start_with(|home| {
        home.edit_policy_data("opa/approvers/data.json", |people| {
            people["spiffe://atb.dev/approver/carol"]["workspaces"] = json!(["team-b"]);
        });
    })
    .await;
    let mut readers = Vec::new();
    for name in ["alice", "bob", "carol"] {
        let mut reader = Reader::follow(&app, name, None).await;
        reader.next().await.unwrap();
        readers.push(reader);
    }
    let mut ask = asking("medium");
    ask["approvers"] = json!(["spiffe://atb.dev/approver/bob"]);
    let of_bob = app.challenge(&ask).await;
    let of_all = app.challenge(&asking("medium")).await;
    assert_eq!(readers[0].turn().await.2, of_all);
    assert_eq!(readers[1].turn().await.2, of_bob);
    assert_eq!(readers[1].turn().await.2, of_all);
    let nothing = tokio::time::timeout(Duration::from_millis(500), readers[2].turn()).await;
    assert!(nothing.is_err(), "another team was told {nothing:?}");
    app.finish().await;
}

#[tokio::test]
async fn whoever_comes_from_another_record_lists_anew() {
    let app = TestApp::start().await;
    let mut alice = Reader::follow(&app, "alice", Some(1_000_000)).await;
    let (here, kind, _) = alice.next().await.unwrap();
    assert_eq!(kind, "reset");
    // From there on nothing is missed.
    let challenge = app.challenge(&asking("medium")).await;
    let (seq, what, id) = alice.turn().await;
    assert_eq!((what.as_str(), id), ("created", challenge));
    assert!(seq > here);
    for (what, last) in [("no number", "abc"), ("less than none", "-1"), ("nothing", "")] {
        let mark = app.mark().await;
        let (head, _) = Reader::ask(&app, "alice", Some(last)).await;
        assert!(head[0].starts_with("http/1.1 400"), "{what}: {head:?}");
        let event = TestApp::only(app.events_since(mark).await, what);
        assert_eq!(event.subject.reason.as_deref(), Some("last_event_id"), "{what}");
    }
    assert_eq!(app.to_issuer("alice").get("/challenges/events?status=pending").await.verdict(), "400 query_unknown");
    let head = app.to_issuer("alice").send("HEAD", "/challenges/events", &[], Vec::new()).await;
    assert_eq!(head.status, 405);
    app.finish().await;
}

#[tokio::test]
async fn one_identity_has_a_few_streams_and_no_more() {
    let app = TestApp::start().await;
    let mut readers = Vec::new();
    for _ in 0..4 {
        let mut reader = Reader::follow(&app, "alice", None).await;
        reader.next().await.unwrap();
        readers.push(reader);
    }
    let mark = app.mark().await;
    let refused = app.to_issuer("alice").get("/challenges/events").await;
    assert_eq!(refused.verdict(), "429 streams_of_identity");
    refused.assert_problem();
    assert_eq!(refused.header("retry-after"), "1");
    TestApp::only(app.events_since(mark).await, "a fifth stream");
    Reader::follow(&app, "bob", None).await;

    readers.pop();
    let again = async {
        loop {
            let (head, reader) = Reader::ask(&app, "alice", None).await;
            if head[0].starts_with("http/1.1 200") {
                return reader;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), again).await.expect("the seat is not free again");
    app.finish().await;
}

#[tokio::test]
async fn a_stream_ends_with_the_service_and_does_not_hold_it_up() {
    let app = TestApp::start().await;
    let mut alice = Reader::follow(&app, "alice", None).await;
    alice.next().await.unwrap();
    let started = std::time::Instant::now();
    app.finish().await;
    assert!(started.elapsed() < Duration::from_secs(10), "the stop waited {:?}", started.elapsed());
    assert_eq!(alice.next().await, None);
}

#[tokio::test]
async fn a_stream_ends_with_its_readers_svid() {
    let app = TestApp::start().await;
    app.enrol("brief", "approver/alice", Duration::from_secs(4));
    let mut brief = Reader::follow(&app, "brief", None).await;
    brief.next().await.unwrap();
    let started = std::time::Instant::now();
    assert_eq!(brief.next().await, None);
    assert!(started.elapsed() < Duration::from_secs(10), "{:?} after it", started.elapsed());
    app.finish().await;
}
