//! The attacker is the console, the mail or the chat through which people hear of a challenge.

use atb::domain::approval::Statement;
use atb::domain::id::Sha256Digest;
use atb::domain::ledger::EventType;
use serde_json::json;

use super::Attack;
use crate::app::{AGENT, Home, TestApp, asking};
use crate::notify::{Delivery, Receiver, SECRET};

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

fn told(receiver: &Receiver) -> impl Fn(&Home) + '_ {
    |home| {
        home.secret("hook", SECRET);
        home.configure(&format!(
            "[notify]\nretry_seconds = [1]\n[[notify.endpoints]]\nname = \"hook\"\nurl = \"http://{}/\"\nsecret = \"hook\"\ntimeout_ms = 300\n",
            receiver.address
        ));
    }
}

/// The receiver that docs/integrators.md prints holds a notification to the same rule as `is_signed_with`.
#[tokio::test]
async fn a_forged_notification_is_not_signed() {
    let hook = Receiver::good().await;
    let app = TestApp::start_with(told(&hook)).await;
    app.challenge(&asking("high")).await;
    let genuine = hook.arrived(1).await.remove(0);
    assert!(genuine.is_signed_with(SECRET));
    let changed = |change: &dyn Fn(&mut Delivery)| {
        let mut forged = genuine.clone();
        change(&mut forged);
        forged
    };
    for (what, forged) in [
        ("another text", changed(&|d| d.text = d.text.replace("challenge.created", "challenge.approved"))),
        ("another link", changed(&|d| d.text = d.text.replace("127.0.0.1", "evil.example"))),
        ("sent again as new", changed(&|d| d.id = atb::domain::id::Sha256Digest::of(b"x").to_string())),
        ("sent again later", changed(&|d| d.timestamp = "1999999999".to_owned())),
        ("not signed", changed(&|d| d.signature = String::new())),
    ] {
        assert!(!forged.is_signed_with(SECRET), "{what}");
    }
    app.finish().await;
}

/// What remains with the secret of an endpoint: telling its receiver what is not so. Nothing at AgentAuth takes it.
#[tokio::test]
async fn the_secret_of_an_endpoint_opens_no_door() {
    let hook = Receiver::good().await;
    let app = TestApp::start_with(told(&hook)).await;
    let challenge = app.challenge(&asking("high")).await;
    let genuine = hook.arrived(1).await.remove(0);
    let headers = [
        ("authorization", SECRET),
        ("webhook-id", genuine.id.as_str()),
        ("webhook-timestamp", genuine.timestamp.as_str()),
        ("webhook-signature", genuine.signature.as_str()),
        ("content-type", "application/json"),
    ];
    let path = format!("/challenges/{challenge}/approve");
    let attack = Attack::begins(&app, "the notification as an approval").await;
    let answer = app.to_issuer("bob").send("POST", &path, &headers, genuine.text.clone().into_bytes()).await;
    attack.fails(&answer, "422 schema_violation", EventType::PoaDenied).await;
    // A challenge that only a forged notification knows is none.
    let forged = "01890000-0000-7000-8000-000000000001";
    let alice = app.to_issuer("alice");
    let attack = Attack::begins(&app, "a challenge that was made up").await;
    let body = json!({"statement": alice.sign(&alice.statement(&app.shown(&challenge).await))});
    let answer = alice.post(&format!("/challenges/{forged}/approve"), &body).await;
    attack.fails(&answer, "404 challenge_not_found", EventType::PoaApprovalRefused).await;
    assert_eq!(app.shown(&challenge).await["approved"], json!(0));
    app.finish().await;
}

#[tokio::test]
async fn the_queue_shows_and_approves_nothing() {
    let app = TestApp::start().await;
    let challenge = app.challenge(&asking("high")).await;
    let alice = app.to_issuer("alice");
    let listed = alice.get("/challenges").await;
    assert_eq!(listed.json["challenges"][0]["challenge_id"], json!(challenge));
    for private in ["\"statement\"", "\"ask\"", "DE02120300000000202051", "25000", "eyJ"] {
        assert!(!listed.to_string().contains(private), "{private}: {listed}");
    }
    for path in ["/challenges", "/challenges/events"] {
        for method in ["POST", "PUT", "DELETE"] {
            assert_eq!(alice.send(method, path, &[], Vec::new()).await.status, 405, "{method} {path}");
        }
        let attack = Attack::begins(&app, "an agent reads the queue").await;
        let answer = app.to_issuer(AGENT).get(path).await;
        attack.fails(&answer, "403 approver_unknown", EventType::PoaApprovalRefused).await;
    }
    assert_eq!(app.shown(&challenge).await["approved"], json!(0));
    app.finish().await;
}

/// What remains: telling nobody. The challenge ends and nothing happens.
#[tokio::test]
async fn what_nobody_is_told_of_expires() {
    let deaf = Receiver::start(|_| 0).await;
    let app = TestApp::start_with(|home| {
        home.challenges_last(2);
        told(&deaf)(home);
    })
    .await;
    let challenge = app.challenge(&asking("high")).await;
    tokio::time::sleep(std::time::Duration::from_millis(3_500)).await;
    assert_eq!(app.collect(&challenge).await.verdict(), "410 challenge_expired");
    assert_eq!(app.events_of(EventType::PoaChallengeExpired).await.len(), 1);
    assert!(app.events_of(EventType::PoaIssuedDualControl).await.is_empty());
    app.finish().await;
}
