//! The attacker can write the broker's configuration: which connector, which route is which act.

use serde_json::json;

use super::Attack;
use crate::app::{Home, TestApp, asking, the_call};

/// The route of the high act is said to be the low one.
fn remapped(home: &Home) {
    home.replace(
        "connectors/erp.toml",
        "path = \"/vendors/{vendor_id}/bank-account\"\nact = \"sap.vendor.change\"",
        "path = \"/vendors/{vendor_id}/bank-account\"\nact = \"erp.vendor.read\"",
    );
}

#[tokio::test]
async fn a_remapped_route_does_not_carry_a_high_call_under_a_low_act() {
    let app = TestApp::start_with(remapped).await;
    let (method, path, body) = the_call("high");
    let low = app.low_mandate().await;
    let attack = Attack::begins(&app, "a low mandate on the high route").await;
    let answer = app.call(method, path, &low, body.as_ref()).await;
    attack.fails_at_the_broker(&answer, "403 unknown_parameter").await;
    assert_eq!(app.call("GET", "/c/erp/vendors/V-1001", &low, None).await.status, 200, "the genuine one was spent");
    app.finish().await;
}

#[tokio::test]
async fn a_made_up_act_is_nobodys() {
    let app = TestApp::start_with(|home| {
        home.replace("connectors/erp.toml", "act = \"sap.vendor.change\"", "act = \"erp.everything.allowed\"");
    })
    .await;
    let ask = json!({"act": "erp.everything.allowed", "leg": asking("low")["leg"]});
    let attack = Attack::begins(&app, "a mandate for it").await;
    let answer = app.issue(&ask).await;
    attack.fails(&answer, "403 unknown_act", atb::domain::ledger::EventType::PoaDenied).await;
    let (method, path, body) = the_call("high");
    let low = app.low_mandate().await;
    let attack = Attack::begins(&app, "a low mandate on it").await;
    let answer = app.call(method, path, &low, body.as_ref()).await;
    attack.fails_at_the_broker(&answer, "403 act_mismatch").await;
    app.finish().await;
}
