//! The attacker has a genuine token of the platform's provider.

use atb::domain::ledger::EventType;

use super::Attack;
use crate::app::{AGENT, OTHER, TestApp, asking, the_call};
use crate::identity::platform::{about, configured, provider};
use crate::identity::tokens::Issuer;

#[tokio::test]
async fn a_stolen_platform_token_is_of_no_use_without_the_svid_it_is_bound_to() {
    let key = Issuer::new("p1");
    let https = provider(&[&key]).await;
    let app = TestApp::start_with(|home| configured(home, &https, "binding = \"exact\"")).await;
    let stolen = key.signs(&about(&https, app.id_of(AGENT).as_str()));
    let agent = app.to_issuer(AGENT);
    let headers = [("content-type", "application/json"), ("x-platform-token", stolen.as_str())];
    let body = asking("low").to_string().into_bytes();
    let minted = agent.send("POST", "/issue", &headers, body.clone()).await;
    assert_eq!(minted.status, 201, "{minted}");
    let attack = Attack::begins(&app, "asking as another workload").await;
    let answer = app.to_issuer(OTHER).send("POST", "/issue", &headers, body).await;
    attack.fails(&answer, "403 platform_binding_mismatch", EventType::PoaDenied).await;
    let attack = Attack::begins(&app, "calling with the stolen mandate too").await;
    let bearer = format!("Bearer {}", minted.text("/token"));
    let (method, path, _) = the_call("low");
    let both = [("authorization", bearer.as_str()), ("x-platform-token", stolen.as_str())];
    let answer = app.to_broker(OTHER).send(method, path, &both, Vec::new()).await;
    attack.fails_at_the_broker(&answer, "403 platform_binding_mismatch").await;
    assert_eq!(app.to_broker(AGENT).send(method, path, &both, Vec::new()).await.status, 200, "it is the agent's still");
    app.finish().await;
}
