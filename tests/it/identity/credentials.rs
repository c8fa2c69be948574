//! What the broker shows an upstream, fetched before the mandate is burned: access tokens and JWT-SVIDs.

use std::time::Duration;

use atb::domain::ledger::EventType;
use base64ct::{Base64, Encoding as _};
use serde_json::json;

use super::https::Https;
use super::workload_api::Agent;
use crate::app::{Answer, Home, TestApp, the_call};

fn credentials(home: &Home, table: &str) {
    let file = home.path("connectors/erp.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let (top, routes) = text.split_once("[[routes]]").unwrap();
    std::fs::write(file, format!("{top}{table}\n\n[[routes]]{routes}")).unwrap();
}

fn oauth(home: &Home, https: &Https, more: &str) {
    home.secret("connectors/client-secret", "s3cr:t/with space\n");
    std::fs::write(home.path("connectors/ca.pem"), &https.ca_pem).unwrap();
    credentials(
        home,
        &format!(
            "[credentials.oauth]\ntoken_url = \"{}\"\nclient_id = \"broker\"\nclient_secret_file = \"client-secret\"\n\
             scope = \"erp.read erp.write\"\nresource = \"https://erp.example\"\nca_file = \"ca.pem\"\n{more}",
            https.url("/token")
        ),
    );
}

fn grant(https: &Https, token: &str, seconds: u64) {
    let granted = json!({"access_token": token, "token_type": "Bearer", "expires_in": seconds});
    https.answers("/token", 200, &granted.to_string());
}

async fn call(app: &TestApp, mandate: &str) -> Answer {
    let (method, path, _) = the_call("low");
    app.call(method, path, mandate, None).await
}

/// Refused before anything was spent: the same mandate is good once the source is.
async fn nothing_was_spent(app: &TestApp, mandate: &str, verdict: &str, what: &str) {
    let (mark, hits) = (app.mark().await, app.erp_hits());
    let answer = call(app, mandate).await;
    assert_eq!(answer.verdict(), verdict, "{what}: {answer}");
    assert_eq!(answer.text("/code"), "upstream_credential", "{what}");
    answer.assert_problem();
    let recorded = TestApp::only(app.events_since(mark).await, what);
    assert_eq!((recorded.event_type, recorded.subject.allow), (EventType::BrokerDecision, Some(false)), "{what}");
    assert_eq!(app.erp_hits(), hits, "{what}: it reached the upstream");
}

#[tokio::test]
async fn an_access_token_is_fetched_once_and_shown_to_the_upstream_alone() {
    let https = Https::start().await;
    grant(&https, "at-1", 300);
    let app = TestApp::start_with(|home| oauth(home, &https, "")).await;
    for _ in 0..3 {
        let answer = call(&app, &app.low_mandate().await).await;
        assert_eq!(answer.status, 200, "{answer}");
        assert_eq!(app.erp().seen().headers["authorization"], "Bearer at-1");
        assert!(
            !String::from_utf8_lossy(&answer.body).contains("at-1")
                && !format!("{:?}", answer.headers).contains("at-1")
        );
    }
    let arrived = https.arrived();
    assert_eq!(arrived.len(), 1, "one fetch for all calls");
    let request = &arrived[0];
    let basic = Base64::encode_string(b"broker:s3cr%3At%2Fwith%20space");
    assert_eq!(request.headers["authorization"], format!("Basic {basic}"));
    assert_eq!(
        request.body,
        "grant_type=client_credentials&scope=erp.read%20erp.write&resource=https%3A%2F%2Ferp.example"
    );
    let record = serde_json::to_string(&app.events().await).unwrap();
    assert!(!record.contains("at-1") && !record.contains("s3cr"), "a secret is on record");
    app.finish().await;
}

#[tokio::test]
async fn without_an_access_token_the_call_is_not_made_and_the_mandate_not_spent() {
    let https = Https::start().await;
    let app = TestApp::start_with(|home| oauth(home, &https, "client_auth = \"post\"")).await;
    let mandate = app.low_mandate().await;
    let granted = |members: &[(&str, serde_json::Value)]| {
        let mut answer = json!({"access_token": "at-1", "token_type": "Bearer", "expires_in": 300});
        members.iter().for_each(|(name, value)| answer[*name] = value.clone());
        answer.to_string()
    };
    let rows = [
        ("the client is refused", 401, r#"{"error":"invalid_client"}"#.to_owned(), "503 credential_refused"),
        ("it is broken", 500, String::new(), "503 credential_unavailable"),
        ("a redirect", 302, String::new(), "503 credential_unavailable"),
        ("a page", 200, "<html>".to_owned(), "503 credential_unusable"),
        ("another kind", 200, granted(&[("token_type", json!("DPoP"))]), "503 credential_unusable"),
        ("over at once", 200, granted(&[("expires_in", json!(5))]), "503 credential_unusable"),
        ("two lines", 200, granted(&[("access_token", json!("a\nb"))]), "503 credential_unusable"),
        ("huge", 200, " ".repeat(1 << 17), "503 credential_unavailable"),
    ];
    let mut pause = Duration::from_millis(500);
    for (what, status, body, verdict) in rows.iter().take(4) {
        https.answers("/token", *status, body);
        let before = https.hits();
        nothing_was_spent(&app, &mandate, verdict, what).await;
        nothing_was_spent(&app, &mandate, verdict, what).await;
        assert_eq!(https.hits(), before + 1, "{what}: it is not asked again at once");
        tokio::time::sleep(pause + Duration::from_millis(100)).await;
        pause *= 2;
    }
    grant(&https, "at-2", 300);
    let answer = call(&app, &mandate).await;
    assert_eq!(answer.status, 200, "the mandate was not spent: {answer}");
    let body = https.arrived().pop().unwrap().body;
    assert!(body.ends_with("&client_id=broker&client_secret=s3cr%3At%2Fwith%20space"), "{body}");
    app.finish().await;
    for (what, status, body, verdict) in rows.iter().skip(4) {
        https.answers("/token", *status, body);
        let app = TestApp::start_with(|home| oauth(home, &https, "")).await;
        nothing_was_spent(&app, &app.low_mandate().await, verdict, what).await;
        app.finish().await;
    }
}

#[tokio::test]
async fn a_jwt_svid_for_the_upstream_comes_from_the_workload_api_and_costs_no_mandate_when_it_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("api.sock");
    let app = TestApp::start_with(|home| {
        let endpoint = format!("[trust]\nendpoint_socket = \"unix://{}\"\n", socket.display());
        home.replace("atb.toml", "[trust]\n", &endpoint);
        credentials(home, "[credentials.jwt_svid]\naudience = \"https://erp.example\"");
    })
    .await;
    let mandate = app.low_mandate().await;
    nothing_was_spent(&app, &mandate, "503 credential_unavailable", "nobody listens").await;
    let agent = Agent::start(&socket, "spiffe://atb.dev/broker");
    let mut pause = Duration::from_millis(600);
    for (what, change, verdict) in [
        ("no identity", &(|| agent.denies(true)) as &dyn Fn(), "503 credential_refused"),
        ("another's", &|| (agent.denies(false), agent.gives_anothers(true)).1, "503 credential_unusable"),
        ("over at once", &|| (agent.gives_anothers(false), agent.lives(5)).1, "503 credential_unusable"),
    ] {
        change();
        tokio::time::sleep(pause).await;
        pause *= 2;
        nothing_was_spent(&app, &mandate, verdict, what).await;
    }
    agent.lives(300);
    tokio::time::sleep(pause).await;
    let answer = call(&app, &mandate).await;
    assert_eq!(answer.status, 200, "{answer}");
    let shown = app.erp().seen().headers["authorization"].clone();
    assert!(shown.starts_with("Bearer eyJ"), "{shown}");
    let before = agent.asked().len();
    assert!(agent.asked().iter().all(|audience| audience == "https://erp.example"));
    assert_eq!(call(&app, &app.low_mandate().await).await.status, 200);
    assert_eq!((agent.asked().len(), app.erp().seen().headers["authorization"].clone()), (before, shown));
    app.finish().await;
}

#[tokio::test]
async fn a_connector_that_wants_jwt_svids_is_refused_where_nobody_gives_them() {
    let mut app = TestApp::start().await;
    app.stop().await;
    credentials(&app.home(), "[credentials.jwt_svid]\naudience = \"https://erp.example\"");
    let error = app.start_again().await.unwrap_err();
    assert!(error.contains("connector `erp`") && error.contains("trust.endpoint_socket"), "{error}");
    std::fs::write(app.home().path("connectors/erp.toml"), include_str!("../../../connectors/erp.toml")).unwrap();
    app.start_again().await.unwrap();
    app.finish().await;
}
