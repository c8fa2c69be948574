//! The attacker is the console, the mail or the chat through which people hear of a challenge.

use atb::domain::approval::Statement;
use atb::domain::id::Sha256Digest;
use atb::domain::ledger::EventType;
use serde_json::json;

use super::Attack;
use crate::app::{TestApp, asking};

#[tokio::test]
async fn a_lying_console_gets_no_signature_that_counts() {
    let app = TestApp::start().await;
    let challenge = app.challenge(&asking("high")).await;
    let alice = app.to_issuer("alice");
    let page = alice.get(&format!("/challenges/{challenge}")).await;
    // It shows a smaller amount: the approver's own program does not sign.
    let shown = String::from_utf8(page.body.clone()).unwrap();
    for lie in [shown.replacen("25000", "250", 1), shown.replace("25000", "250"), shown.replace("V-1001", "V-1002")] {
        assert_ne!(lie, shown);
        assert!(atb::cli::approve::Shown::check(lie.as_bytes()).is_err());
    }
    // She signs what she was shown all the same: it is not what is asked.
    let genuine = alice.statement(&page.json);
    let attack = Attack::begins(&app, "a signature over something else").await;
    let other = Statement { sum: Sha256Digest::of(b"what the console showed"), ..genuine };
    let body = json!({"statement": alice.sign(&other)});
    let answer = alice.post(&format!("/challenges/{challenge}/approve"), &body).await;
    attack.fails(&answer, "403 statement_digest", EventType::PoaApprovalRefused).await;
    app.finish().await;
}

#[tokio::test]
async fn following_a_link_approves_nothing() {
    let app = TestApp::start().await;
    let challenge = app.challenge(&asking("high")).await;
    for path in ["approve", "reject"] {
        for method in ["GET", "HEAD", "OPTIONS"] {
            let answer =
                app.to_issuer("alice").send(method, &format!("/challenges/{challenge}/{path}"), &[], vec![]).await;
            assert_eq!(answer.status, 405, "{method} {path}: {answer}");
        }
    }
    let empty = app.to_issuer("alice").post(&format!("/challenges/{challenge}/approve"), &json!({})).await;
    assert_eq!(empty.verdict(), "422 schema_violation");
    let shown = app.shown(&challenge).await;
    assert_eq!((&shown["state"], &shown["approved"]), (&json!("pending"), &json!(0)));
    app.finish().await;
}
