//! The attacker edits the policy's data at AgentAuth. The broker runs apart, on a bundle of its own.
//!
//! Here one process does both in turn: what AgentAuth minted under the edited bundle is taken to a broker that runs on
//! the genuine one, with the same keys and the same record.

use std::time::Duration;

use serde_json::{Value, json};

use super::Attack;
use crate::app::{TestApp, asking, the_call};

const MALLORY: &str = "spiffe://atb.dev/approver/mallory";

/// Mints under `edited` data, then starts on the genuine bundle. The mandate lives across the restart.
async fn minted_under(file: &str, edit: impl FnOnce(&mut Value), names: &[&str]) -> (TestApp, String) {
    let mut genuine = Vec::new();
    let mut app = TestApp::start_with(|home| {
        genuine = std::fs::read(home.path(file)).unwrap();
        home.edit_policy_data(file, edit);
    })
    .await;
    app.enrol("mallory", "approver/mallory", Duration::from_secs(3600));
    let mandate = app.approved_mandate(&asking("high"), names).await;
    std::fs::write(app.home().path(file), genuine).unwrap();
    app.restart().await;
    (app, mandate)
}

async fn refused_at_the_broker(app: TestApp, what: &str, mandate: &str, verdict: &str) {
    let (method, path, body) = the_call("high");
    let attack = Attack::begins(&app, what).await;
    let answer = app.call(method, path, mandate, body.as_ref()).await;
    attack.fails_at_the_broker(&answer, verdict).await;
    app.finish().await;
}

#[tokio::test]
async fn an_approver_that_only_agentauth_knows_does_not_count_at_the_broker() {
    let add = |people: &mut Value| {
        people[MALLORY] = people["spiffe://atb.dev/approver/bob"].clone();
        people[MALLORY]["person"] = json!("mallory");
    };
    let (app, mandate) = minted_under("opa/approvers/data.json", add, &["alice", "mallory"]).await;
    refused_at_the_broker(app, "an approver of the attacker's own", &mandate, "403 approver_unknown").await;
    let split = |people: &mut Value| people["spiffe://atb.dev/approver/alice-mobile"]["person"] = json!("alicia");
    let (app, mandate) = minted_under("opa/approvers/data.json", split, &["alice", "alice-mobile"]).await;
    refused_at_the_broker(app, "one person made into two", &mandate, "403 same_person").await;
}

#[tokio::test]
async fn tiers_and_words_that_only_agentauth_has_are_not_the_brokers() {
    let fewer = |tiers: &mut Value| tiers["high"]["approvals"] = json!(1);
    let (app, mandate) = minted_under("opa/tiers/data.json", fewer, &["alice"]).await;
    refused_at_the_broker(app, "one person is enough", &mandate, "403 approval_missing").await;
    let words = |acts: &mut Value| acts["sap.vendor.change"]["view"] = json!("Read vendor {{vendor_id}}");
    let (app, mandate) = minted_under("opa/catalogue/data.json", words, &["alice", "bob"]).await;
    refused_at_the_broker(app, "other words for the act", &mandate, "403 statement_view").await;
}
