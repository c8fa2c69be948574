use std::sync::{Arc, Mutex};
use std::time::Duration;

use atb::domain::ledger::EventType;
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::{Releases, await_events, policy_in_force, read_vendor};
use crate::app::TestApp;

/// An endpoint of OPA's bundle API with long polling.
#[derive(Clone)]
struct Published {
    bundle: watch::Sender<(u32, Vec<u8>)>,
    asked: Arc<Mutex<Vec<HeaderMap>>>,
}

impl Published {
    fn publish(&self, bytes: Vec<u8>) {
        self.bundle.send_modify(|(etag, bundle)| (*etag, *bundle) = (*etag + 1, bytes));
    }

    fn asked(&self, header: &str) -> Vec<String> {
        let asked = self.asked.lock().unwrap();
        asked.iter().map(|headers| headers.get(header).map_or("", |v| v.to_str().unwrap()).to_owned()).collect()
    }
}

async fn serve(State(published): State<Published>, headers: HeaderMap) -> Response {
    published.asked.lock().unwrap().push(headers.clone());
    if headers.get("authorization").is_none_or(|token| token != "Bearer t0ken") {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let known = headers.get("if-none-match").map(|tag| tag.to_str().unwrap().to_owned());
    let is_news = |(etag, _): &(u32, Vec<u8>)| known.as_deref() != Some(&format!("\"{etag}\""));
    let mut bundle = published.bundle.subscribe();
    if headers["prefer"].to_str().unwrap().contains("wait=") {
        let _ = tokio::time::timeout(Duration::from_secs(10), bundle.wait_for(is_news)).await;
    }
    let (etag, bytes) = bundle.borrow().clone();
    if known == Some(format!("\"{etag}\"")) {
        return StatusCode::NOT_MODIFIED.into_response();
    }
    let headers =
        [("etag", format!("\"{etag}\"")), ("content-type", "application/vnd.openpolicyagent.bundles".to_owned())];
    (headers, bytes).into_response()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_is_followed_by_long_polls_and_a_start_without_it_takes_the_last_good_archive() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let published = Published { bundle: watch::channel((0, Vec::new())).0, asked: Arc::default() };
    let routes = Router::new().route("/bundles/atb.tar.gz", get(serve)).with_state(published.clone());
    let server = tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });

    let mut releases = None;
    let mut app = TestApp::start_with(|home| {
        let own = Releases::new(home, "release");
        published.publish(own.release(home, "r1", &json!({"sequence": 1})));
        home.secret("token", "t0ken");
        home.replace("atb.toml", "[bundle]\ndir = \"opa\"\n", "");
        home.configure(&format!(
            "[policy]\nsource = \"http://{address}/bundles/atb.tar.gz\"\npoll_seconds = 1\ntoken_file = \"token\"\n\
             verification_keys = [\"release.pub\"]\nrequire_signature = true\npersist = \"kept/policy.tar.gz\"\n"
        ));
        releases = Some(own);
    })
    .await;
    let releases = releases.unwrap();
    assert_eq!(policy_in_force(&app).await["source"], "endpoint");
    published.publish(releases.release(&app.home(), "r2", &json!({"sequence": 2})));
    await_events(&app, EventType::PolicyActivated, 2).await;
    // One that is refused changes nothing of what is kept.
    published.publish(releases.release(&app.home(), "r1", &json!({"sequence": 1})));
    await_events(&app, EventType::PolicyRefused, 1).await;
    assert!(published.asked("prefer").iter().any(|prefer| prefer == "modes=snapshot;wait=30"));
    assert!(published.asked("if-none-match").iter().any(|tag| tag == "\"1\""));
    assert_eq!(read_vendor(&app).await.status, 200);

    app.stop().await;
    server.abort();
    let _ = server.await;
    app.start_again().await.unwrap();
    let policy = policy_in_force(&app).await;
    assert_eq!((&policy["revision"], &policy["source"]), (&json!("r2"), &json!("last_good")));
    assert_eq!(read_vendor(&app).await.status, 200);

    app.stop().await;
    let kept = app.home().path("kept/policy.tar.gz");
    let whole = std::fs::read(&kept).unwrap();
    std::fs::write(&kept, &whole[..whole.len() - 40]).unwrap();
    let refused = app.start_again().await.unwrap_err();
    assert!(refused.contains("there is no policy to start with"), "{refused}");
    std::fs::remove_file(&kept).unwrap();
    let refused = app.start_again().await.unwrap_err();
    assert!(refused.contains("there is no policy to start with") && refused.contains("does not answer"), "{refused}");
    std::fs::write(&kept, whole).unwrap();
    app.start_again().await.unwrap();
    app.finish().await;
}
