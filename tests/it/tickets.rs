//! The ticket of a critical act: only the system's own yes, in time, lets anybody be asked or a mandate be minted.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use atb::domain::ledger::EventType;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use hyper::body::Frame;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::app::{AGENT, TestApp, asking, asking_critical, ground};

const TOKEN: &str = "Bearer ticket-reader-7f3a";

/// A ticket system: the path says how it behaves.
#[derive(Clone, Default)]
struct Board {
    asked: Arc<AtomicUsize>,
    headers: Arc<Mutex<Vec<HeaderMap>>>,
    state: Arc<Mutex<Value>>,
}

impl Board {
    async fn start(state: Value) -> (Self, std::net::SocketAddr) {
        let board = Self { state: Arc::new(Mutex::new(state)), ..Self::default() };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let app = Router::new().fallback(answer).with_state(board.clone());
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        (board, address)
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

async fn answer(State(board): State<Board>, request: Request) -> Response {
    board.asked.fetch_add(1, Ordering::SeqCst);
    board.headers.lock().unwrap().push(request.headers().clone());
    let state = board.state.lock().unwrap().clone();
    let ticket = || axum::Json(json!({"fields": {"status": {"name": state}}})).into_response();
    let (kind, reference) = request.uri().path().trim_start_matches('/').split_once('/').unwrap();
    match kind {
        "slow" => {
            tokio::time::sleep(Duration::from_secs(30)).await;
            ticket()
        }
        "redirect" => (StatusCode::FOUND, [("location", format!("/good/{reference}"))]).into_response(),
        "huge" => Body::from(vec![b' '; 3 * 1024 * 1024]).into_response(),
        "endless" => Body::new(Endless).into_response(),
        "html" => "<html>please log in</html>".into_response(),
        "denied" => StatusCode::UNAUTHORIZED.into_response(),
        "broken" => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        "missing" => StatusCode::NOT_FOUND.into_response(),
        "created" => (StatusCode::CREATED, ticket()).into_response(),
        _ => ticket(),
    }
}

/// A body without a length and without an end.
struct Endless;

impl hyper::body::Body for Endless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&[b' '; 64 * 1024])))))
    }
}

fn table(name: &str, address: std::net::SocketAddr, path: &str) -> String {
    format!(
        "[tickets.{name}]\nurl = \"http://{address}/{path}/{{ref}}?for={{act}}\"\nstate = \"/fields/status/name\"\n\
         accept = [\"Approved\"]\nheader = \"Authorization\"\nsecret = \"ticket-token\"\ntimeout_ms = 700\n"
    )
}

fn critical(system: &str, reference: &str) -> Value {
    let mut ask = asking("critical");
    ask["leg"] = ground(&[("ticket_system", system), ("ticket_ref", reference)]);
    ask
}

#[tokio::test]
async fn every_answer_but_the_systems_own_yes_refuses_before_anybody_is_asked() {
    let (board, address) = Board::start(json!("Approved")).await;
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let closed = nobody.local_addr().unwrap();
    drop(nobody);
    let kinds = ["good", "slow", "redirect", "huge", "endless", "html", "denied", "broken", "missing", "created"];
    let app = TestApp::start_with(|home| {
        home.secret("ticket-token", &format!("{TOKEN}\n"));
        kinds.iter().for_each(|kind| home.configure(&table(kind, address, kind)));
        home.configure(&table("nobody", closed, "good"));
        home.configure(&table("elsewhere", address, "good").replace("/fields/status/name", "/fields/status"));
        home.configure(&format!("{}pattern = \"CHG-[0-9]+\"\n", table("changes", address, "good")));
        home.configure(&table("absent", address, "good").replace("/fields/status/name", "/status"));
        home.configure(&table("stricter", address, "good").replace("[\"Approved\"]", "[\"approved\", \"Done\"]"));
    })
    .await;
    let rows = [
        ("unheard-of", "OPS-77", "ticket_system_unknown", ""),
        ("good", "ops-77", "leg_refused", ""),
        ("good", "OPS-77/../../admin", "leg_refused", ""),
        ("changes", "OPS-77", "ticket_not_found", ""),
        ("missing", "OPS-77", "ticket_not_found", ""),
        ("stricter", "OPS-77", "ticket_not_approved", "`Approved`"),
        ("slow", "OPS-77", "ticket_unavailable", "in time"),
        ("redirect", "OPS-77", "ticket_unavailable", "redirect"),
        ("huge", "OPS-77", "ticket_unavailable", "too large"),
        ("endless", "OPS-77", "ticket_unavailable", "too large"),
        ("html", "OPS-77", "ticket_unavailable", "not JSON"),
        ("denied", "OPS-77", "ticket_unavailable", "credentials"),
        ("broken", "OPS-77", "ticket_unavailable", "error"),
        ("created", "OPS-77", "ticket_unavailable", "error"),
        ("nobody", "OPS-77", "ticket_unavailable", "reached"),
        ("elsewhere", "OPS-77", "ticket_unavailable", "no text"),
        ("absent", "OPS-77", "ticket_unavailable", "no text"),
    ];
    for (system, reference, reason, words) in rows {
        let (mark, before, since) = (app.mark().await, board.asked(), Instant::now());
        let answer = app.issue(&critical(system, reference)).await;
        assert!(since.elapsed() < Duration::from_secs(20), "{system}: the agent waited");
        assert_eq!(answer.reason(), reason, "{system} {reference}: {answer}");
        assert!(answer.text("/detail").contains(words), "{system}: {answer}");
        assert!(!answer.to_string().contains("ticket-reader"), "{answer}");
        let event = TestApp::only(app.events_since(mark).await, system);
        assert_eq!((event.event_type, event.subject.reason.as_deref()), (EventType::PoaDenied, Some(reason)));
        let not_asked =
            ["ticket_system_unknown", "leg_refused"].contains(&reason) || ["nobody", "changes"].contains(&system);
        assert_eq!(
            board.asked() - before,
            usize::from(!not_asked),
            "{system} {reference}: how often the system was asked"
        );
    }
    let asked = board.asked();
    assert_eq!(app.issue(&critical("good", "OPS-77")).await.status, 202);
    assert_eq!(app.issue(&asking("high")).await.status, 202);
    assert_eq!(board.asked() - asked, 1, "an act that needs no ticket was looked up");
    let headers = board.headers.lock().unwrap().clone();
    assert!(headers.iter().all(|headers| headers["authorization"] == TOKEN && headers["accept"] == "application/json"));
    app.finish().await;
}

#[tokio::test]
async fn a_ticket_that_is_closed_after_the_approvals_gives_no_mandate_until_it_is_open_again() {
    let (board, address) = Board::start(json!("Approved")).await;
    let app = TestApp::start_with(|home| {
        home.secret("ticket-token", TOKEN);
        home.configure(&table("change", address, "good"));
    })
    .await;
    let challenge = app.challenge(&critical("change", "OPS-77")).await;
    for name in ["alice", "carol"] {
        assert_eq!(app.approve(name, &challenge).await.status, 200);
    }
    *board.state.lock().unwrap() = json!("Withdrawn <https://evil.example|by> \u{202e}him");
    let mark = app.mark().await;
    let refused = app.collect(&challenge).await;
    assert_eq!(refused.verdict(), "403 ticket_not_approved");
    let detail = refused.text("/detail");
    assert!(
        detail.contains("Withdrawn httpsevil.exampleby him") && !detail.contains(['<', '|', '\u{202e}']),
        "{detail}"
    );
    let event = TestApp::only(app.events_since(mark).await, "the refusal");
    assert_eq!(event.event_type, EventType::PoaDenied);
    *board.state.lock().unwrap() = json!("Approved");
    let answer = app.collect(&challenge).await;
    assert_eq!(answer.status, 201, "{answer}");
    assert_eq!(board.asked(), 3, "at admission and at each attempt to mint");
    let asked = board.asked();
    let deleted = app.call("DELETE", "/c/erp/vendors/V-1005?reason=closed", &answer.text("/token"), None).await;
    assert_eq!(deleted.status, 204, "{deleted}");
    assert_eq!(board.asked(), asked, "the broker asks the ticket system");
    app.finish().await;
}

#[tokio::test]
async fn without_a_ticket_system_a_critical_act_is_refused() {
    let app = TestApp::start_with(|home| {
        let text = std::fs::read_to_string(home.path("atb.toml")).unwrap();
        let (before, rest) = text.split_once("[tickets.jira]").unwrap();
        let after = rest.split_once("[ops]").unwrap().1;
        std::fs::write(home.path("atb.toml"), format!("{before}[ops]{after}")).unwrap();
    })
    .await;
    let answer = app.to_issuer(AGENT).post("/issue", &asking_critical()).await;
    assert_eq!(answer.verdict(), "403 ticket_system_unknown");
    app.finish().await;
}

#[test]
fn a_configuration_that_cannot_be_meant_is_refused_with_its_system() {
    use crate::process::Home;
    let rows = [
        ("url = \"https://t.example/{ref}\"", "url = \"https://t.example/x\"", "needs `{ref}`"),
        ("url = \"https://t.example/{ref}\"", "url = \"https://{ref}.example/\"", "path and query only"),
        ("url = \"https://t.example/{ref}\"", "url = \"https://t.example/{ref}/{user}\"", "path and query only"),
        ("url = \"https://t.example/{ref}\"", "url = \"http://t.example/{ref}\"", "plain http"),
        ("url = \"https://t.example/{ref}\"", "url = \"https://169.254.169.254/{ref}\"", "link-local"),
        ("state = \"/s\"", "state = \"s\"", "JSON pointer"),
        ("accept = [\"ok\"]", "accept = []", "`accept`"),
        ("timeout_ms = 500", "timeout_ms = 99999", "`timeout_ms`"),
        ("timeout_ms = 500", "pattern = \"(\"", "regular expression"),
        ("timeout_ms = 500", "secret = \"nowhere\"", "nowhere"),
        ("timeout_ms = 500", "secret = \"loose\"", "chmod 600"),
        ("timeout_ms = 500", "ca = \"atb.toml\"", "no usable certificate"),
    ];
    for (from, to, words) in rows {
        let home = Home::new();
        std::fs::write(home.file("loose"), "word").unwrap();
        let table =
            "[tickets.t]\nurl = \"https://t.example/{ref}\"\nstate = \"/s\"\naccept = [\"ok\"]\ntimeout_ms = 500\n";
        home.edit("atb.toml", "[ops]", &format!("{}\n[ops]", table.replace(from, to)));
        let checked = home.run(["config", "check", "--config", "atb.toml"]);
        assert_eq!(checked.code, 1, "{to}: {checked:?}");
        assert!(checked.out.contains("[tickets.t]") && checked.out.contains(words), "{to}: {checked:?}");
    }
}
