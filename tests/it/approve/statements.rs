//! Statements that are not the approver's own yes to exactly this, one defect each.

use std::time::Duration;

use atb::adapters::signer;
use atb::domain::approval::Statement;
use atb::domain::id::{ChallengeId, Sha256Digest};
use atb::domain::jose;
use atb::domain::ledger::EventType;
use serde_json::{Value, json};

use crate::app::{AGENT, Caller, TestApp, asking};

/// A pending high challenge as Alice is shown it.
struct Asked {
    path: String,
    shown: Value,
    alice: Caller,
}

impl Asked {
    async fn new(app: &TestApp) -> Self {
        let challenge = app.challenge(&asking("high")).await;
        let shown = app.shown(&challenge).await;
        Self { path: format!("/challenges/{challenge}/approve"), shown, alice: app.to_issuer("alice") }
    }

    /// Alice's genuine statement.
    fn genuine(&self) -> Statement {
        self.alice.statement(&self.shown)
    }

    /// Hands `jws` in as Alice: it must not count, and one event must say so.
    async fn refuses(&self, app: &TestApp, what: &str, jws: &str, verdict: &str) {
        let mark = app.mark().await;
        let answer = self.alice.post(&self.path, &json!({ "statement": jws })).await;
        assert_eq!(answer.verdict(), verdict, "{what}: {answer}");
        answer.assert_problem();
        let event = TestApp::only(app.events_since(mark).await, what);
        assert_eq!(event.event_type, EventType::PoaApprovalRefused, "{what}");
        assert_eq!(event.subject.reason, Some(answer.reason()), "{what}");
        assert_eq!(event.subject.caller, Some(self.alice.id()), "{what}");
    }

    /// Nobody has agreed, and Alice's genuine statement still counts.
    async fn nothing_counted(&self) {
        let answer = self.alice.post(&self.path, &json!({ "statement": self.alice.sign(&self.genuine()) })).await;
        assert_eq!((answer.status, &answer.json["approved"]), (200, &json!(1)), "{answer}");
    }
}

#[tokio::test]
async fn a_statement_counts_for_exactly_one_challenge_content_agent_audience_and_time() {
    let app = TestApp::start().await;
    let asked = Asked::new(&app).await;
    let twin = app.challenge(&asking("high")).await;
    let good = asked.genuine();
    let now = good.iat;
    let other_sum = Sha256Digest::of(b"something else");
    let cases = [
        ("another challenge", Statement { cid: twin.parse().unwrap(), ..good.clone() }, "403 statement_challenge"),
        (
            "no challenge of ours",
            Statement { cid: ChallengeId::new(good_time(), [3; 10]), ..good.clone() },
            "403 statement_challenge",
        ),
        ("another content", Statement { sum: other_sum, ..good.clone() }, "403 statement_digest"),
        ("another view", Statement { view: other_sum, ..good.clone() }, "403 statement_view"),
        ("another agent", Statement { sub: id("agent/support"), ..good.clone() }, "403 statement_subject"),
        ("another audience", Statement { aud: id("broker"), ..good.clone() }, "403 statement_audience"),
        ("another approver's name", Statement { iss: id("approver/bob"), ..good.clone() }, "403 statement_issuer"),
        ("expired", Statement { iat: now - 60, exp: now - 1, ..good.clone() }, "403 statement_expired"),
        ("not yet valid", Statement { iat: now + 60, ..good.clone() }, "403 statement_not_yet_valid"),
        ("ends before it starts", Statement { exp: now, iat: now, ..good.clone() }, "403 statement_lifetime"),
        ("for longer than a day", Statement { exp: now + 25 * 3600, ..good.clone() }, "403 statement_lifetime"),
        ("ends before the challenge", Statement { exp: now + 60, ..good.clone() }, "403 statement_lifetime"),
    ];
    for (what, statement, verdict) in cases {
        asked.refuses(&app, what, &asked.alice.sign(&statement), verdict).await;
    }
    asked.nothing_counted().await;
    app.finish().await;
}

#[tokio::test]
async fn a_statement_counts_only_under_the_key_and_the_chain_of_who_approves() {
    let app = TestApp::start().await;
    app.enrol("alice-expired", "approver/alice", Duration::from_secs(1));
    let asked = Asked::new(&app).await;
    let good = asked.genuine();
    let (bob, agent) = (app.to_issuer("bob"), app.to_issuer(AGENT));
    let genuine = asked.alice.sign(&good);
    let bobs = bob.sign(&bob.statement(&asked.shown));
    let mandate = app.low_mandate().await;
    let (head, tail) = genuine.split_at(genuine.rfind('.').unwrap() + 1);
    let last = tail.chars().next().unwrap();
    let flipped = format!("{head}{}{}", if last == 'A' { 'B' } else { 'A' }, &tail[1..]);
    let self_signed =
        format!("{}.{}.", header(&json!({"alg": "none", "typ": "approval+jwt", "x5c": []})), payload(&genuine));
    let cases = [
        ("a key that is not in x5c", bob.sign_under(&good, &asked.alice.chain()), "403 statement_algorithm"),
        (
            "a key of the same kind that is not in x5c",
            agent.sign_under(&good, &asked.alice.chain()),
            "403 statement_signature",
        ),
        ("a chain without certificates", asked.alice.sign_under(&good, &[]), "403 statement_malformed"),
        ("another person's statement", bobs, "403 statement_not_callers"),
        ("one bit of the signature", flipped, "403 statement_signature"),
        ("alg none", self_signed, "403 statement_malformed"),
        ("the issuer's key", by_issuer(&app, &genuine), "403 statement_malformed"),
        ("a mandate", mandate, "403 statement_malformed"),
        ("no JWS", "yes".to_owned(), "403 statement_malformed"),
        ("three dots", "...".to_owned(), "403 statement_malformed"),
        ("very long", "e30.".repeat(10_000), "403 statement_malformed"),
    ];
    for (what, jws, verdict) in cases {
        asked.refuses(&app, what, &jws, verdict).await;
    }
    asked.nothing_counted().await;
    app.finish().await;
}

#[tokio::test]
async fn an_identity_of_another_authority_cannot_sign() {
    let app = TestApp::start().await;
    let asked = Asked::new(&app).await;
    let foreign = tempfile::tempdir().unwrap();
    let now = atb::service::ports::Clock::now(&atb::adapters::clock::SystemClock);
    let ca = atb::adapters::dev_identity::DevCa::create("atb.dev".parse().unwrap(), now).unwrap();
    let kind = atb::adapters::dev_identity::KeyKind::P256;
    let issued = ca.issue(&id("approver/alice"), kind, now, Duration::from_secs(600)).unwrap();
    let key = foreign.path().join("key.pem");
    atb::adapters::pem::write_private(&key, issued.key_pem.as_bytes()).unwrap();
    let svid = foreign.path().join("svid.pem");
    std::fs::write(&svid, issued.svid_pem).unwrap();
    let chain = atb::adapters::pem::read_certificates(&svid).unwrap();
    let signer = signer::svid_signer(&key).unwrap();
    let forged = asked.genuine().sign(signer.as_ref(), &chain).unwrap();
    asked.refuses(&app, "an authority that nobody trusts", &forged, "403 statement_chain").await;
    asked.nothing_counted().await;
    app.finish().await;
}

#[tokio::test]
async fn a_body_that_is_not_one_statement_is_refused() {
    let app = TestApp::start().await;
    let asked = Asked::new(&app).await;
    let good = asked.alice.sign(&asked.genuine());
    for (what, body) in [
        ("nothing", "{}".to_owned()),
        ("more than a statement", json!({"statement": good, "approved": true}).to_string()),
        ("twice", format!(r#"{{"statement":"{good}","statement":"{good}"}}"#)),
        ("a list", json!({ "statement": [good] }).to_string()),
        ("somebody else's word", json!({ "approved_by": "spiffe://atb.dev/approver/bob" }).to_string()),
    ] {
        let mark = app.mark().await;
        let answer = asked.alice.post_text(&asked.path, &body).await;
        assert_eq!(answer.verdict(), "422 schema_violation", "{what}: {answer}");
        TestApp::only(app.events_since(mark).await, what);
    }
    asked.nothing_counted().await;
    app.finish().await;
}

fn id(path: &str) -> atb::domain::spiffe::SpiffeId {
    format!("spiffe://atb.dev/{path}").parse().unwrap()
}

fn good_time() -> atb::domain::time::Timestamp {
    atb::service::ports::Clock::now(&atb::adapters::clock::SystemClock)
}

fn header(value: &Value) -> String {
    use base64ct::{Base64UrlUnpadded, Encoding as _};
    Base64UrlUnpadded::encode_string(value.to_string().as_bytes())
}

fn payload(jws: &str) -> &str {
    jws.split('.').nth(1).unwrap()
}

/// The same claims under AgentAuth's own key, as a thief of that key could sign them.
fn by_issuer(app: &TestApp, genuine: &str) -> String {
    use base64ct::{Base64UrlUnpadded, Encoding as _};
    let claims = Base64UrlUnpadded::decode_vec(payload(genuine)).unwrap();
    let key = signer::read_ed25519(&app.home().path("keys/mandate.pem")).unwrap();
    let (signer, public) = signer::mandate_signer(key).unwrap();
    let mut header = josekit::jws::JwsHeader::new();
    header.set_token_type("approval+jwt");
    header.set_key_id(public.kid().as_str());
    jose::sign(&header, &claims, signer.signer.as_ref()).unwrap()
}
