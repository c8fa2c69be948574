//! JWT-SVIDs at both doors: from a named proxy, once, for this door; and from nobody else.

use std::time::Duration;

use atb::adapters::clock::SystemEntropy;
use atb::domain::ledger::EventType;
use atb::service::ports::Entropy as _;
use serde_json::{Value, json};

use super::tokens::{Issuer, now, set};
use crate::app::{AGENT, Answer, Caller, Home, OTHER, TestApp, asking, the_call};

const AGENTAUTH: &str = "spiffe://atb.dev/agentauth";
const BROKER: &str = "spiffe://atb.dev/broker";

/// Makes the doors take JWT-SVIDs of `authority` from `proxy/edge` and `proxy/other`.
pub fn taken(home: &Home, authority: &Issuer, more: &str) {
    std::fs::write(home.path("trust/jwt.json"), set(&[authority.jwk("jwt-svid")])).unwrap();
    home.replace("atb.toml", "[trust]\n", "[trust]\njwt_bundle = \"trust/jwt.json\"\n");
    home.configure(&format!(
        "[jwt_svid]\nenabled = true\nproxies = [\"spiffe://atb.dev/proxy/edge\", \"spiffe://atb.dev/proxy/other\"]\n{more}\n"
    ));
}

pub fn enrol_proxies(app: &TestApp) {
    for name in ["edge", "other"] {
        app.enrol(name, &format!("proxy/{name}"), Duration::from_secs(3600));
    }
}

/// The claims of a fresh JWT-SVID.
pub fn about(sub: &str, aud: &str) -> Value {
    let jti: String = SystemEntropy.bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    json!({"sub": sub, "aud": [aud], "iat": now(), "exp": now() + 300, "jti": jti})
}

/// `POST /issue` over a proxy's connection.
async fn issue(proxy: &Caller, token: &str) -> Answer {
    let headers = [("content-type", "application/json"), ("x-jwt-svid", token)];
    proxy.send("POST", "/issue", &headers, asking("low").to_string().into_bytes()).await
}

/// The low call over a proxy's connection.
async fn call(proxy: &Caller, token: &str, mandate: &str) -> Answer {
    let (method, path, _) = the_call("low");
    let bearer = format!("Bearer {mandate}");
    proxy.send(method, path, &[("authorization", &bearer), ("x-jwt-svid", token)], Vec::new()).await
}

#[tokio::test]
async fn a_workload_behind_a_named_proxy_is_itself_at_both_doors() {
    let authority = Issuer::new("k");
    let app = TestApp::start_with(|home| taken(home, &authority, "")).await;
    enrol_proxies(&app);
    let agent = app.id_of(AGENT).to_string();
    let minted = issue(&app.to_issuer("edge"), &authority.signs(&about(&agent, AGENTAUTH))).await;
    assert_eq!(minted.status, 201, "{minted}");
    let mark = app.mark().await;
    let token = authority.signs(&about(&agent, BROKER));
    let answer = call(&app.to_broker("edge"), &token, &minted.text("/token")).await;
    assert_eq!(answer.status, 200, "{answer}");
    let seen = app.erp().seen();
    assert!(!seen.headers.contains_key("x-jwt-svid"), "{:?}", seen.headers);
    assert!(!format!("{:?}", seen.headers).contains("eyJ"), "a token reached the upstream");
    let events = app.events_since(mark).await;
    let decision = events.iter().find(|entry| entry.event_type == EventType::BrokerDecision).unwrap();
    assert_eq!(decision.subject.agent.as_ref().map(ToString::to_string), Some(agent));
    assert_eq!(decision.subject.detail["presented_by"], "spiffe://atb.dev/proxy/edge");
    let issued = app.events_of(EventType::PoaIssued).await;
    assert_eq!(issued.last().unwrap().subject.detail["presented_by"], "spiffe://atb.dev/proxy/edge");
    assert!(!serde_json::to_string(&events).unwrap().contains(&token), "the token is on record");
    app.finish().await;
}

#[tokio::test]
async fn a_jwt_svid_is_off_unless_it_is_configured_and_then_for_named_proxies_alone() {
    let authority = Issuer::new("k");
    let app = TestApp::start().await;
    let agent = app.id_of(AGENT).to_string();
    let token = authority.signs(&about(&agent, AGENTAUTH));
    for name in [AGENT, OTHER] {
        let answer = issue(&app.to_issuer(name), &token).await;
        assert_eq!(answer.verdict(), "403 jwt_svid_not_accepted", "{name}: {answer}");
        answer.assert_problem();
    }
    app.finish().await;

    let app = TestApp::start_with(|home| taken(home, &authority, "doors = [\"agentauth\"]")).await;
    enrol_proxies(&app);
    // Not even its own, and not even with a mandate of its own.
    let answer = issue(&app.to_issuer(AGENT), &authority.signs(&about(&agent, AGENTAUTH))).await;
    assert_eq!(answer.verdict(), "403 jwt_svid_not_accepted", "{answer}");
    let mandate = app.low_mandate().await;
    let answer = call(&app.to_broker("edge"), &authority.signs(&about(&agent, BROKER)), &mandate).await;
    assert_eq!(answer.verdict(), "403 jwt_svid_not_accepted", "the other door: {answer}");
    // A proxy that says nothing is nobody, whatever it wants.
    for path in ["/issue", "/challenges"] {
        let answer = app.to_issuer("edge").send("GET", path, &[], Vec::new()).await;
        assert_eq!(answer.verdict(), "401 jwt_svid_missing", "{path}: {answer}");
        answer.assert_problem();
    }
    assert_eq!(app.erp_hits(), 0);
    app.finish().await;
}

#[tokio::test]
async fn the_lists_of_a_place_judge_the_workload_and_not_the_proxy_before_it() {
    let authority = Issuer::new("k");
    let app = TestApp::start_with(|home| {
        taken(home, &authority, "");
        home.configure(
            "[access]\nissue = [\"spiffe://atb.dev/agent/procurement\"]\ncall = [\"spiffe://atb.dev/proxy/*\"]\n",
        );
    })
    .await;
    enrol_proxies(&app);
    let (agent, other) = (app.id_of(AGENT).to_string(), app.id_of(OTHER).to_string());
    let minted = issue(&app.to_issuer("edge"), &authority.signs(&about(&agent, AGENTAUTH))).await;
    assert_eq!(minted.status, 201, "the proxy is on no list and need not be: {minted}");
    let answer = issue(&app.to_issuer("edge"), &authority.signs(&about(&other, AGENTAUTH))).await;
    assert_eq!(answer.verdict(), "403 not_admitted_to_issue", "{answer}");
    // Who is on no list is refused before what it shows is looked at, and fills no record.
    let mark = app.mark().await;
    for shown in [authority.signs(&about(&other, AGENTAUTH)), "nonsense".to_owned()] {
        let answer = issue(&app.to_issuer(OTHER), &shown).await;
        assert_eq!(answer.verdict(), "403 not_admitted_to_issue", "{answer}");
    }
    let refused = app.events_since(mark).await;
    assert!(refused.iter().all(|entry| entry.event_type == EventType::AuthenticationFailed), "{refused:?}");
    let token = authority.signs(&about(&agent, BROKER));
    let answer = call(&app.to_broker("edge"), &token, &minted.text("/token")).await;
    assert_eq!(answer.verdict(), "403 not_admitted_to_call", "the proxy's admission is not the workload's: {answer}");
    assert_eq!(app.erp_hits(), 0);
    app.finish().await;
}

#[tokio::test]
async fn each_defect_of_a_jwt_svid_is_refused_at_the_door_and_on_record() {
    let (authority, stranger) = (Issuer::new("k"), Issuer::new("k"));
    let app = TestApp::start_with(|home| taken(home, &authority, "")).await;
    enrol_proxies(&app);
    let agent = app.id_of(AGENT).to_string();
    let good = about(&agent, AGENTAUTH);
    let with = |member: &str, value: Value| {
        let mut claims = about(&agent, AGENTAUTH);
        claims[member] = value;
        authority.signs(&claims)
    };
    let headers = json!({"alg": "HS256", "kid": "k"});
    let rows = [
        ("another authority", stranger.signs(&good), "401 jwt_svid_bad_signature"),
        ("another algorithm", authority.signs_as(&headers, &good), "401 jwt_svid_header"),
        ("another kid", authority.signs_as(&json!({"alg": "ES256", "kid": "x"}), &good), "401 jwt_svid_unknown_key"),
        ("the other door", with("aud", json!([BROKER])), "401 jwt_svid_audience"),
        ("both doors", with("aud", json!([AGENTAUTH, BROKER])), "401 jwt_svid_audience"),
        ("over", with("exp", json!(now())), "401 jwt_svid_expired"),
        ("too long", with("exp", json!(now() + 400)), "401 jwt_svid_lifetime"),
        ("in the future", with("iat", json!(now() + 120)), "401 jwt_svid_not_yet_valid"),
        ("another domain", with("sub", json!("spiffe://evil.example/a")), "401 jwt_svid_unknown_trust_domain"),
        ("no SPIFFE ID", with("sub", json!("procurement")), "401 jwt_svid_subject"),
        ("a proxy", with("sub", json!("spiffe://atb.dev/proxy/other")), "403 jwt_svid_of_a_proxy"),
        ("no token", "x".to_owned(), "401 jwt_svid_malformed"),
        ("a mandate", app.low_mandate().await, "401 jwt_svid_header"),
    ];
    let proxy = app.to_issuer("edge");
    for (what, token, verdict) in rows {
        let mark = app.mark().await;
        let answer = issue(&proxy, &token).await;
        assert_eq!(answer.verdict(), verdict, "{what}: {answer}");
        answer.assert_problem();
        let recorded = TestApp::only(app.events_since(mark).await, what);
        assert_eq!(recorded.event_type, EventType::PoaDenied, "{what}");
        assert_eq!(recorded.subject.agent.unwrap().as_str(), "spiffe://atb.dev/proxy/edge", "{what}");
    }
    let twice = [("x-jwt-svid", "a"), ("x-jwt-svid", "b")];
    let answer = proxy.send("GET", "/challenges", &twice, Vec::new()).await;
    assert_eq!(answer.verdict(), "400 token_header_malformed", "{answer}");
    // A header may agree with the token, and with nothing else.
    for (name, verdict) in [(agent.as_str(), 201), ("spiffe://atb.dev/proxy/edge", 403)] {
        let token = authority.signs(&about(&agent, AGENTAUTH));
        let headers = [("content-type", "application/json"), ("x-jwt-svid", &token), ("x-spiffe-id", name)];
        let answer = proxy.send("POST", "/issue", &headers, asking("low").to_string().into_bytes()).await;
        assert_eq!(answer.status, verdict, "{name}: {answer}");
    }
    app.finish().await;
}

#[tokio::test]
async fn a_jwt_svid_is_taken_once_in_order_at_once_and_after_a_restart() {
    let authority = Issuer::new("k");
    let mut app = TestApp::start_with(|home| taken(home, &authority, "")).await;
    enrol_proxies(&app);
    let agent = app.id_of(AGENT).to_string();
    let token = authority.signs(&about(&agent, AGENTAUTH));
    let proxy = app.to_issuer("edge").connected().await;
    let all = (0..40).map(|_| issue(&proxy, &token));
    let answers = futures_util::future::join_all(all).await;
    let taken = answers.iter().filter(|answer| answer.status == 201).count();
    let replayed = answers.iter().filter(|answer| answer.verdict() == "401 jwt_svid_replayed").count();
    assert_eq!((taken, replayed), (1, 39));
    app.restart().await;
    for name in ["edge", "other"] {
        let answer = issue(&app.to_issuer(name), &token).await;
        assert_eq!(answer.verdict(), "401 jwt_svid_replayed", "{name}: {answer}");
    }
    // Another token of the same `jti` is the same token.
    let mut claims = about(&agent, AGENTAUTH);
    let again = authority.signs(&claims);
    assert_eq!(issue(&app.to_issuer("edge"), &again).await.status, 201);
    claims["exp"] = json!(now() + 200);
    assert_eq!(issue(&app.to_issuer("edge"), &authority.signs(&claims)).await.verdict(), "401 jwt_svid_replayed");
    // Without one it is what was signed that counts.
    claims.as_object_mut().unwrap().remove("jti");
    let nameless = authority.signs(&claims);
    assert_eq!(issue(&app.to_issuer("edge"), &nameless).await.status, 201);
    assert_eq!(issue(&app.to_issuer("edge"), &nameless).await.verdict(), "401 jwt_svid_replayed");
    let signed_anew = authority.signs(&claims);
    assert_ne!(signed_anew, nameless);
    assert_eq!(issue(&app.to_issuer("edge"), &signed_anew).await.verdict(), "401 jwt_svid_replayed");
    app.finish().await;
}

#[tokio::test]
async fn tokens_without_a_name_are_taken_as_the_operator_says() {
    let authority = Issuer::new("k");
    let app = TestApp::start_with(|home| taken(home, &authority, "without_jti = \"same_proxy\"")).await;
    enrol_proxies(&app);
    let agent = app.id_of(AGENT).to_string();
    let nameless = |lives: u64| {
        let mut claims = about(&agent, AGENTAUTH);
        claims.as_object_mut().unwrap().remove("jti");
        claims["exp"] = json!(now() + lives);
        authority.signs(&claims)
    };
    let token = nameless(300);
    for _ in 0..3 {
        assert_eq!(issue(&app.to_issuer("edge"), &token).await.status, 201);
    }
    assert_eq!(issue(&app.to_issuer("other"), &token).await.verdict(), "401 jwt_svid_replayed");
    let named = authority.signs(&about(&agent, AGENTAUTH));
    assert_eq!(issue(&app.to_issuer("edge"), &named).await.status, 201);
    assert_eq!(issue(&app.to_issuer("edge"), &named).await.verdict(), "401 jwt_svid_replayed", "a name is for once");
    app.finish().await;

    let app = TestApp::start_with(|home| taken(home, &authority, "without_jti = \"refuse\"")).await;
    enrol_proxies(&app);
    assert_eq!(issue(&app.to_issuer("edge"), &nameless(300)).await.verdict(), "401 jwt_svid_without_jti");
    app.finish().await;
}

#[tokio::test]
async fn the_holder_of_a_mandate_is_whom_the_token_names() {
    let authority = Issuer::new("k");
    let app = TestApp::start_with(|home| taken(home, &authority, "")).await;
    enrol_proxies(&app);
    let mandate = app.low_mandate().await;
    let other = authority.signs(&about(app.id_of(OTHER).as_str(), BROKER));
    let answer = call(&app.to_broker("edge"), &other, &mandate).await;
    assert_eq!(answer.verdict(), "403 mandate_holder", "{answer}");
    let own = authority.signs(&about(app.id_of(AGENT).as_str(), BROKER));
    assert_eq!(call(&app.to_broker("edge"), &own, &mandate).await.status, 200);
    app.finish().await;
}

#[tokio::test]
async fn an_approval_is_signed_by_the_approvers_own_key_whoever_hands_it_in() {
    let authority = Issuer::new("k");
    let app = TestApp::start_with(|home| taken(home, &authority, "")).await;
    enrol_proxies(&app);
    let challenge = app.challenge(&asking("medium")).await;
    let shown = app.shown(&challenge).await;
    let proxy = app.to_issuer("edge");
    let hand_in = async |statement: String| {
        let token = authority.signs(&about(app.id_of("alice").as_str(), AGENTAUTH));
        let headers = [("content-type", "application/json"), ("x-jwt-svid", token.as_str())];
        let body = json!({ "statement": statement }).to_string().into_bytes();
        proxy.send("POST", &format!("/challenges/{challenge}/approve"), &headers, body).await
    };
    let alice = app.to_issuer("alice");
    let agents = app.to_issuer(AGENT);
    let answer = hand_in(agents.sign(&alice.statement(&shown))).await;
    assert_eq!((answer.status, answer.text("/code").as_str()), (403, "approval_refused"), "{answer}");
    let answer = hand_in(alice.sign(&alice.statement(&shown))).await;
    assert_eq!(answer.status, 200, "{answer}");
    // The agent collects behind the proxy too; the record says so, as it does of a rejection.
    let token = authority.signs(&about(app.id_of(AGENT).as_str(), AGENTAUTH));
    let minted = proxy.send("GET", &format!("/issue/{challenge}"), &[("x-jwt-svid", &token)], Vec::new()).await;
    assert_eq!(minted.status, 201, "{minted}");
    let other = app.challenge(&asking("medium")).await;
    let token = authority.signs(&about(app.id_of("alice").as_str(), AGENTAUTH));
    let headers = [("content-type", "application/json"), ("x-jwt-svid", token.as_str())];
    let body = json!({"reason": "not now"}).to_string().into_bytes();
    let answer = proxy.send("POST", &format!("/challenges/{other}/reject"), &headers, body).await;
    assert_eq!(answer.status, 200, "{answer}");
    for event in [EventType::PoaIssued, EventType::PoaChallengeRejected] {
        let recorded = app.events_of(event).await.pop().unwrap();
        assert_eq!(recorded.subject.detail["presented_by"], "spiffe://atb.dev/proxy/edge", "{event:?}");
    }
    app.finish().await;
}
