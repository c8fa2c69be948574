//! What an approver saw is what runs: no hop between her signature and the upstream can put something else in its place.

use std::path::Path;

use atb::adapters::signer;
use atb::domain::approval::{Statement, View};
use atb::domain::id::Sha256Digest;
use atb::domain::jose;
use atb::domain::ledger::EventType;
use atb::domain::time::Timestamp;
use base64ct::{Base64UrlUnpadded, Encoding as _};
use serde_json::{Value, json};

use crate::app::{AGENT, Mark, TestApp, asking, bank_account, ground, the_call};
use crate::process::{Home, Ran, Upstream};

const CHANGE: &str = "/c/erp/vendors/V-1001/bank-account";

fn claims_of(mandate: &str) -> Value {
    serde_json::from_slice(&Base64UrlUnpadded::decode_vec(mandate.split('.').nth(1).unwrap()).unwrap()).unwrap()
}

/// A mandate as a thief of AgentAuth's key would write it.
fn forged(app: &TestApp, claims: &Value) -> String {
    let key = signer::read_ed25519(&app.home().path("keys/mandate.pem")).unwrap();
    let (signer, public) = signer::mandate_signer(key).unwrap();
    let mut header = josekit::jws::JwsHeader::new();
    header.set_token_type("poa+jwt");
    header.set_key_id(public.kid().as_str());
    jose::sign(&header, claims.to_string().as_bytes(), signer.signer.as_ref()).unwrap()
}

/// The digest of a view that differs in its sentence alone: what a bundle of other words gives.
fn other_words(shown: &Value) -> Sha256Digest {
    let mut view = shown["view"].clone();
    view["sentence"] = json!("Read vendor V-1001");
    serde_json::from_value::<View>(view).unwrap().digest()
}

/// The mandate's claims with statements by the same people over another view.
fn shown_otherwise(app: &TestApp, claims: &Value, shown: &Value) -> Value {
    let (mut claims, mut leg) = (claims.clone(), claims["leg"].clone());
    let view = other_words(shown);
    let mut sign = |approval: &mut Value, id: &str| {
        let name = approval[id].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
        let caller = app.to_issuer(&name);
        let statement = Statement { view, ..caller.statement(shown) };
        approval["approved_at"] = json!(Timestamp::from_secs(statement.iat));
        approval["statement"] = json!(caller.sign(&statement));
        // Signed a moment after the genuine mandate was issued.
        claims["iat"] = json!(statement.iat);
        claims["nbf"] = json!(statement.iat);
        claims["exp"] = json!(statement.iat + 300);
    };
    match leg.get_mut("approval") {
        Some(one) => sign(one, "approver_id"),
        None => leg["dual_control"]["approvers"].as_array_mut().unwrap().iter_mut().for_each(|one| sign(one, "id")),
    }
    claims["leg"] = leg;
    claims
}

async fn refused(app: &TestApp, what: &str, path: &str, mandate: &str, body: &Value, verdict: &str) {
    let (mark, hits): (Mark, u64) = (app.mark().await, app.erp_hits());
    let answer = app.call("POST", path, mandate, Some(body)).await;
    assert_eq!(answer.verdict(), verdict, "{what}: {answer}");
    let event = TestApp::only(app.events_since(mark).await, what);
    assert_eq!((event.event_type, event.subject.allow), (EventType::BrokerDecision, Some(false)), "{what}");
    assert_eq!(event.subject.reason, Some(answer.reason()), "{what}");
    assert_eq!(app.erp_hits(), hits, "{what}: it reached the ERP");
}

#[tokio::test]
async fn one_change_anywhere_between_the_approvers_and_the_upstream_is_refused() {
    let app = TestApp::start().await;
    let challenge = app.challenge(&asking("high")).await;
    let shown = app.shown(&challenge).await;
    for name in ["alice", "bob"] {
        assert_eq!(app.approve(name, &challenge).await.status, 200);
    }
    let genuine = app.collect(&challenge).await.text("/token");
    let body = the_call("high").2.unwrap();
    let claims = claims_of(&genuine);
    let with = |pointer: &str, value: Value| {
        let mut claims = claims.clone();
        let (parent, member) = pointer.rsplit_once('/').unwrap();
        claims.pointer_mut(parent).unwrap()[member] = value;
        forged(&app, &claims)
    };
    let digest = |params: &Value| json!(atb::domain::json::digest(params));

    // On the way from the agent to the broker.
    let more = json!({"iban": "DE02120300000000202051", "payment_limit": 25_001});
    refused(&app, "a parameter", CHANGE, &genuine, &more, "403 request_mismatch").await;
    let named = json!({"iban": "DE02120300000000202051", "payment_limit": 25_000, "reason": "x"});
    refused(&app, "one more parameter", CHANGE, &genuine, &named, "403 request_mismatch").await;
    let elsewhere = "/c/erp/vendors/V-1002/bank-account";
    refused(&app, "the path", elsewhere, &genuine, &body, "403 request_mismatch").await;
    // On the way from the approvers to the mandate, by whoever has AgentAuth's key.
    let signed = "403 statement_digest";
    refused(&app, "parameters", CHANGE, &with("/req/digest", digest(&bank_account(25_001))), &more, signed).await;
    let path = with("/req/path", json!("/vendors/V-1002/bank-account"));
    refused(&app, "the path in the mandate", elsewhere, &path, &body, signed).await;
    let con = with("/con/payment_limit", json!({"max": 250_000}));
    refused(&app, "a constraint", CHANGE, &con, &body, signed).await;
    for (pointer, value) in [
        ("/leg/description", json!("something else")),
        ("/leg/ref", json!("MSA-1002")),
        ("/leg/accountable_party/id", json!("dave")),
        ("/exp", json!(claims["exp"].as_u64().unwrap() - 1)),
    ] {
        refused(&app, pointer, CHANGE, &with(pointer, value), &body, signed).await;
    }
    // On the way from what was asked to the approvers' eyes.
    let other = forged(&app, &shown_otherwise(&app, &claims, &shown));
    refused(&app, "the sentence", CHANGE, &other, &body, "403 statement_view").await;
    let mark = app.mark().await;
    let question = json!({
        "token": other, "agent": "spiffe://atb.dev/agent/procurement",
        "request": {"connector": "erp", "method": "POST", "path": "/vendors/V-1001/bank-account", "params": bank_account(25_000)},
    });
    let answer = app.to_broker("erp").post("/v1/decide", &question).await;
    assert_eq!((&answer.json["allow"], answer.reason().as_str()), (&json!(false), "statement_view"), "{answer}");
    assert_eq!(TestApp::only(app.events_since(mark).await, "decide").subject.reason.as_deref(), Some("statement_view"));

    // None of it was spent, and the genuine one is the call that was shown.
    assert_eq!(app.call("POST", CHANGE, &genuine, Some(&body)).await.status, 200);
    app.finish().await;
}

#[tokio::test]
async fn an_approval_that_is_not_tied_to_a_call_is_held_to_its_view_too() {
    let app = TestApp::start().await;
    let challenge = app.challenge(&asking("medium")).await;
    let shown = app.shown(&challenge).await;
    let sentence = shown["view"]["sentence"].as_str().unwrap();
    assert!(sentence.starts_with("Order (any quantity) of (any item) from vendor (any vendor_id)"), "{sentence}");
    assert_eq!(app.approve("alice", &challenge).await.status, 200);
    let genuine = app.collect(&challenge).await.text("/token");
    let (_, path, body) = the_call("medium");
    let other = forged(&app, &shown_otherwise(&app, &claims_of(&genuine), &shown));
    refused(&app, "another sentence", path, &other, body.as_ref().unwrap(), "403 statement_view").await;
    assert_eq!(app.call("POST", path, &genuine, body.as_ref()).await.status, 201);
    app.finish().await;
}

struct Attack {
    name: String,
    kind: String,
    text: String,
}

fn attacks() -> Vec<Attack> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/unicode/attack");
    let attacks = std::fs::read_dir(folder).unwrap().map(|entry| {
        let path = entry.unwrap().path();
        let attack: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let text = |name: &str| attack[name].as_str().unwrap().to_owned();
        Attack { name: path.file_stem().unwrap().to_str().unwrap().to_owned(), kind: text("kind"), text: text("text") }
    });
    attacks.collect()
}

#[tokio::test]
async fn no_unicode_attack_passes_as_an_act_an_approver_or_a_template_variable() {
    let app = TestApp::start().await;
    let agent = app.to_issuer(AGENT).connected().await;
    for Attack { name, text, .. } in attacks() {
        let mut act = asking("low");
        act["act"] = json!(format!("erp.{text}.read"));
        let mut approver = asking("high");
        approver["approvers"] = json!([format!("spiffe://atb.dev/approver/{text}")]);
        let mut variable = asking("low");
        variable["leg"] = ground(&[("order", &text)]);
        for (what, ask, verdict) in [
            ("act", act, "422 schema_violation"),
            ("approver", approver, "422 schema_violation"),
            ("variable", variable, "422 leg_refused"),
        ] {
            let answer = agent.post("/issue", &ask).await;
            assert_eq!(answer.verdict(), verdict, "{name} as {what}: {answer}");
        }
    }
    app.finish().await;
}

#[tokio::test]
async fn a_unicode_attack_in_a_parameter_is_shown_by_number_and_flagged() {
    let app = TestApp::start().await;
    let mut seen = std::collections::BTreeSet::new();
    for Attack { name, kind, text } in attacks() {
        if text.chars().any(|c| c.is_ascii_control()) || !seen.insert(kind.clone()) {
            continue;
        }
        let mut ask = asking("high");
        ask["request"]["params"]["reason"] = json!(text);
        let shown = app.shown(&app.challenge(&ask).await).await;
        let facts = shown["view"]["facts"].as_array().unwrap();
        let reason = facts.iter().find(|fact| fact["label"] == "parameter /reason").unwrap();
        assert!(reason["flags"].as_array().unwrap().contains(&json!(kind)), "{name}: {reason}");
        assert!(reason["value"].as_str().unwrap().contains("⟦U+"), "{name}: {reason}");
        atb::cli::approve::Shown::check(shown.to_string().as_bytes()).unwrap();
    }
    assert_eq!(seen.len(), 9, "{seen:?}");
    let challenge = app.challenge(&asking("high")).await;
    let path = format!("/challenges/{challenge}/reject");
    let answer = app.to_issuer("bob").post(&path, &json!({"reason": "n\u{43e}t in the file"})).await;
    assert_eq!(answer.verdict(), "422 schema_violation", "{answer}");
    assert!(answer.text("/detail").contains("U+043E at byte 1"), "{answer}");
    app.finish().await;
}

fn asked(home: &Home, params: &str) -> String {
    let ground = ["--template", "contract", "--var", "contract_ref=MSA-1001", "--var", "accountable_id=dave"];
    let call = ["--request", "POST erp /vendors/V-1001/bank-account", "--params", params];
    let mut command = home.atb(["issue", "--as", "procurement", "sap.vendor.change"]);
    let more = ["--var", "jurisdiction=DE", "--var", "order=vendor V-1001"];
    Ran::of(command.args(ground).args(more).args(call)).ok().out.trim().to_owned()
}

fn collected(home: &Home, challenge: &str) -> Ran {
    let mut command = home.atb(["issue", "--as", "procurement", "sap.vendor.change", "--template", "contract"]);
    Ran::of(command.args(["--collect", challenge, "--out", "change.jwt"]))
}

#[tokio::test(flavor = "multi_thread")]
async fn other_words_for_the_act_end_what_was_approved_under_the_old_ones() {
    const PARAMS: &str = r#"{"vendor_id":"V-1001","iban":"DE02120300000000202051","payment_limit":25000}"#;
    let (home, upstream) = (Home::new(), Upstream::open().await);
    home.connect(upstream.address);
    let config = std::fs::read_to_string(home.file("atb.toml")).unwrap();
    let served = home.serve();
    served.publish(&home);
    let (minted, approved) = (asked(&home, PARAMS), asked(&home, PARAMS));
    for challenge in [&minted, &approved] {
        for name in ["alice", "bob"] {
            home.run(["approve", "--as", name, challenge, "--yes"]).ok();
        }
    }
    collected(&home, &minted).ok();
    served.kill();

    std::fs::write(home.file("atb.toml"), config).unwrap();
    home.edit("opa/catalogue/data.json", "Change the bank account of vendor", "Move the bank account of vendor");
    let served = home.serve();
    served.publish(&home);
    let late = collected(&home, &approved);
    assert_eq!((late.code, late.err.contains("view_changed")), (1, true), "{late:?}");
    let body = r#"{"iban":"DE02120300000000202051","payment_limit":25000}"#;
    let target = "erp/vendors/V-1001/bank-account";
    let called = home.run(["call", "--as", "procurement", "--mandate", "change.jwt", "POST", target, "--body", body]);
    assert_eq!((called.code, called.err.contains("statement_view")), (1, true), "{called:?}");
    assert!(upstream.seen().is_empty());
    a_flagged_view_is_not_signed_unread(&home);
}

fn a_flagged_view_is_not_signed_unread(home: &Home) {
    let challenge = asked(
        home,
        "{\"vendor_id\":\"V-1001\",\"iban\":\"DE02120300000000202051\",\"payment_limit\":25000,\"reason\":\"p\u{430}ypal \u{202e}\"}",
    );
    let unread = home.run(["approve", "--as", "alice", &challenge, "--yes"]);
    assert_eq!((unread.code, unread.err.contains("--accept-flagged")), (1, true), "{unread:?}");
    assert!(unread.out.contains("\"p⟦U+0430⟧ypal ⟦U+202E⟧\""), "{unread:?}");
    assert!(unread.out.contains("⚠ bidi: ") && unread.out.contains("⚠ lookalike: "), "{unread:?}");
    let signed = home.run(["approve", "--as", "alice", &challenge, "--yes", "--accept-flagged"]).ok();
    assert!(signed.out.contains("1 of 2 approved"), "{signed:?}");
}
