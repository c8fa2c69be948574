//! `atb policy push` against a server that keeps one object, with and without `ETag`s.

use std::os::unix::fs::PermissionsExt as _;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use tokio::net::TcpListener;

use super::super::process::Ran;
use super::{Desk, base};

/// One object behind one address.
#[derive(Default)]
struct Object {
    content: Option<Bytes>,
    version: u32,
    /// How its `ETag` starts: `"`, `W/"`, or none at all.
    etag: Option<&'static str>,
    /// Somebody else writes between our look and our write.
    race: bool,
    /// What every request must have.
    password: Option<&'static str>,
    puts: Vec<HeaderMap>,
}

type Shared = Arc<Mutex<Object>>;

async fn answer(State(object): State<Shared>, method: Method, headers: HeaderMap, body: Bytes) -> Response {
    let mut object = object.lock().unwrap();
    if object.password.is_some_and(|word| headers.get("x-password").is_none_or(|given| given != word)) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let etag = object.etag.map(|start| format!("{start}v{}\"", object.version));
    if method == Method::GET {
        let Some(content) = object.content.clone() else { return StatusCode::NOT_FOUND.into_response() };
        if object.race {
            object.version += 1;
        }
        let mut response = content.into_response();
        if let Some(etag) = etag {
            response.headers_mut().insert("etag", HeaderValue::try_from(etag).unwrap());
        }
        return response;
    }
    let none_match = headers.get("if-none-match").is_some() && object.content.is_some();
    let no_match = headers.get("if-match").is_some_and(|wanted| etag.is_none_or(|etag| wanted != etag.as_str()));
    if none_match || no_match {
        return StatusCode::PRECONDITION_FAILED.into_response();
    }
    object.puts.push(headers);
    object.content = Some(body);
    object.version += 1;
    StatusCode::NO_CONTENT.into_response()
}

struct Server {
    object: Shared,
    url: String,
}

impl Server {
    async fn start(etag: Option<&'static str>) -> Self {
        let object = Shared::default();
        object.lock().unwrap().etag = etag;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/atb/bundle.tar.gz", listener.local_addr().unwrap());
        let app = Router::new().fallback(answer).with_state(object.clone());
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { object, url }
    }

    fn holds(&self, desk: &Desk, name: &str) -> bool {
        let content = std::fs::read(desk.file(name)).unwrap();
        self.object.lock().unwrap().content.as_deref() == Some(content.as_slice())
    }
}

fn push(desk: &Desk, bundle: &str, server: &Server, more: &[&str]) -> Ran {
    tokio::task::block_in_place(|| desk.policy(&[&["push", bundle, &server.url, "--dev"][..], more].concat()))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_release_replaces_an_older_one_and_never_the_other_way() {
    let (desk, server) = (Desk::new(), Server::start(Some("\"")).await);
    for (name, sequence) in [("six", "6"), ("seven", "7")] {
        desk.release(name, sequence);
    }
    assert_eq!(push(&desk, "six", &server, &[]).ok().out, "stored\n");
    assert!(server.holds(&desk, "six"));
    assert_eq!(push(&desk, "six", &server, &[]).ok().out, "already there\n");
    assert_eq!(push(&desk, "seven", &server, &[]).ok().out, "stored\n");
    assert!(server.holds(&desk, "seven"));
    let refused = push(&desk, "six", &server, &[]);
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(refused.err.contains("sequence 7 is there and 6 is not higher"), "{}", refused.err);
    // The same sequence with another content is not the same release.
    desk.build(&base(), "fork", "7", &["--signing-key", "other.pem"]).ok();
    assert_eq!(push(&desk, "fork", &server, &["--format", "json"]).json()["result"], "refused");
    assert!(server.holds(&desk, "seven"));
    let object = server.object.lock().unwrap();
    assert_eq!(object.puts.len(), 2);
    assert_eq!(
        (&object.puts[0]["if-none-match"], &object.puts[1]["if-match"]),
        (&"*".parse().unwrap(), &"\"v1\"".parse().unwrap())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_pushes_at_once_the_second_is_refused() {
    let (desk, server) = (Desk::new(), Server::start(Some("\"")).await);
    desk.release("six", "6");
    desk.release("seven", "7");
    push(&desk, "six", &server, &[]).ok();
    server.object.lock().unwrap().race = true;
    let refused = push(&desk, "seven", &server, &[]);
    assert!(refused.code == 1 && refused.err.contains("412"), "{refused:?}");
    assert!(server.holds(&desk, "six"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_cannot_guard_a_write_is_accepted_by_name_only() {
    for etag in [None, Some("W/\"")] {
        let (desk, server) = (Desk::new(), Server::start(etag).await);
        desk.release("six", "6");
        desk.release("seven", "7");
        push(&desk, "six", &server, &[]).ok();
        let refused = push(&desk, "seven", &server, &[]);
        assert!(refused.code == 1 && refused.err.contains("--unguarded"), "{refused:?}");
        assert!(server.holds(&desk, "six"));
        push(&desk, "seven", &server, &["--unguarded"]).ok();
        assert!(server.holds(&desk, "seven"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_can_compare_is_not_replaced() {
    let (desk, server) = (Desk::new(), Server::start(Some("\"")).await);
    desk.release("six", "6");
    let plain = std::fs::read(super::vector("opa-plain.tar.gz")).unwrap();
    for content in [b"<html>".to_vec(), plain] {
        server.object.lock().unwrap().content = Some(content.into());
        let refused = push(&desk, "six", &server, &["--unguarded"]);
        assert!(refused.code == 1 && refused.err.contains("not a bundle with a sequence"), "{refused:?}");
    }
    assert!(server.object.lock().unwrap().puts.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_come_from_a_private_file_and_are_never_printed() {
    let (desk, server) = (Desk::new(), Server::start(Some("\"")).await);
    server.object.lock().unwrap().password = Some("hunter2-hunter2");
    desk.release("six", "6");
    let denied = push(&desk, "six", &server, &[]);
    assert!(denied.code == 1 && denied.err.contains("401"), "{denied:?}");
    let secret = desk.file("push.secret");
    std::fs::write(&secret, "X-Password: hunter2-hunter2\n").unwrap();
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o644)).unwrap();
    let open = push(&desk, "six", &server, &["--header", "@push.secret"]);
    assert!(open.code == 2 && open.err.contains("chmod 600"), "{open:?}");
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o600)).unwrap();
    let stored = push(&desk, "six", &server, &["--header", "@push.secret"]).ok();
    assert!(!format!("{stored:?}{denied:?}{open:?}").contains("hunter2"));
    let bad = push(&desk, "six", &server, &["--header", "hunter2-hunter2"]);
    assert!(bad.code == 2 && !bad.err.contains("hunter2"), "{bad:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_whole_signed_release_is_pushed_and_only_over_tls() {
    let (desk, server) = (Desk::new(), Server::start(Some("\"")).await);
    desk.build(&base(), "unsigned", "6", &[]).ok();
    let refused = push(&desk, "unsigned", &server, &[]);
    assert!(refused.code == 2 && refused.err.contains("--unsigned"), "{refused:?}");
    let plain = super::vector("opa-EdDSA.tar.gz");
    let refused = push(&desk, plain.to_str().unwrap(), &server, &[]);
    assert!(refused.code == 2 && refused.err.contains("sequence"), "{refused:?}");
    desk.release("six", "6");
    let refused = tokio::task::block_in_place(|| desk.policy(&["push", "six", &server.url]));
    assert!(refused.code == 2 && refused.err.contains("plain http"), "{refused:?}");
    assert!(server.object.lock().unwrap().puts.is_empty());
    push(&desk, "unsigned", &server, &["--unsigned"]).ok();
}
