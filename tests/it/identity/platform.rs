//! `X-Platform-Token`: only the provider's own word, in time, for us and about this very workload, lets an agent ask.

use std::time::{Duration, Instant};

use atb::domain::ledger::EventType;
use serde_json::{Value, json};

use super::https::Https;
use super::tokens::{Issuer, now, set};
use crate::app::{AGENT, Answer, Home, OTHER, TestApp, asking, the_call};

const AGENT_ID: &str = "spiffe://atb.dev/agent/procurement";

/// A provider whose key set and metadata are those of `keys`.
pub async fn provider(keys: &[&Issuer]) -> Https {
    let https = Https::start().await;
    publish(&https, keys);
    let metadata =
        json!({"issuer": https.url(""), "jwks_uri": https.url("/keys"), "response_types_supported": ["id_token"]});
    https.answers("/.well-known/openid-configuration", 200, &metadata.to_string());
    https
}

fn publish(https: &Https, keys: &[&Issuer]) {
    let keys: Vec<Value> = keys.iter().map(|key| key.jwk("sig")).collect();
    https.answers("/keys", 200, &set(&keys));
}

pub fn configured(home: &Home, https: &Https, more: &str) {
    std::fs::write(home.path("trust/platform.pem"), &https.ca_pem).unwrap();
    home.configure(&format!(
        "[platform]\nissuer = \"{}\"\naudience = \"atb\"\nalgorithms = [\"ES256\"]\nca = \"trust/platform.pem\"\n\
         timeout_ms = 1000\n{more}\n",
        https.url("")
    ));
}

pub fn about(https: &Https, sub: &str) -> Value {
    json!({"iss": https.url(""), "aud": "atb", "sub": sub, "iat": now(), "exp": now() + 600})
}

async fn issue(app: &TestApp, name: &str, token: Option<&str>) -> Answer {
    let headers: Vec<_> = [("content-type", "application/json")]
        .into_iter()
        .chain(token.map(|token| ("x-platform-token", token)))
        .collect();
    app.to_issuer(name).send("POST", "/issue", &headers, asking("low").to_string().into_bytes()).await
}

#[tokio::test]
async fn an_agent_is_let_in_by_both_words_and_the_token_goes_no_further() {
    let key = Issuer::new("p1");
    let https = provider(&[&key]).await;
    let app = TestApp::start_with(|home| configured(home, &https, "binding = \"exact\"")).await;
    let token = key.signs(&about(&https, AGENT_ID));
    let minted = issue(&app, AGENT, Some(&token)).await;
    assert_eq!(minted.status, 201, "{minted}");
    let (method, path, _) = the_call("low");
    let bearer = format!("Bearer {}", minted.text("/token"));
    let call = async |token: Option<&str>| {
        let headers: Vec<_> =
            [("authorization", bearer.as_str())].into_iter().chain(token.map(|t| ("x-platform-token", t))).collect();
        app.to_broker(AGENT).send(method, path, &headers, Vec::new()).await
    };
    let without = call(None).await;
    assert_eq!(without.verdict(), "401 platform_token_missing", "{without}");
    without.assert_problem();
    let answer = call(Some(&token)).await;
    assert_eq!(answer.status, 200, "{answer}");
    let seen = app.erp().seen();
    assert!(!seen.headers.contains_key("x-platform-token"), "{:?}", seen.headers);
    let events = app.events_of(EventType::BrokerDecision).await;
    let detail = &events.last().unwrap().subject.detail;
    assert_eq!(
        (detail["platform_subject"].as_str(), detail["platform_issuer"].as_str()),
        (AGENT_ID, https.url("").as_str())
    );
    assert!(!serde_json::to_string(&events).unwrap().contains(&token), "the token is on record");
    assert_eq!(https.hits(), 2, "metadata and keys were fetched once for both doors");
    // People come without a platform.
    assert_eq!(app.to_issuer("alice").get("/challenges").await.status, 200);
    app.finish().await;
}

#[tokio::test]
async fn each_defect_of_a_platform_token_is_refused_by_name() {
    let (key, stranger) = (Issuer::new("p1"), Issuer::new("p1"));
    let https = provider(&[&key]).await;
    let app = TestApp::start_with(|home| configured(home, &https, "binding = \"exact\"")).await;
    let with = |member: &str, value: Value| {
        let mut claims = about(&https, AGENT_ID);
        claims[member] = value;
        key.signs(&claims)
    };
    let good = about(&https, AGENT_ID);
    let header = |header: Value| key.signs_as(&header, &good);
    let rows = [
        ("the provider's", key.signs(&good), "201 "),
        ("as Kubernetes writes it", with("aud", json!(["https://kubernetes", "atb"])), "201 "),
        ("another key of that name", stranger.signs(&good), "401 platform_token_bad_signature"),
        ("an unknown key", header(json!({"alg": "ES256", "kid": "p9"})), "401 platform_token_unknown_key"),
        ("not signed", header(json!({"alg": "none", "kid": "p1"})), "401 platform_token_header"),
        ("HMAC under the public key", header(json!({"alg": "HS256", "kid": "p1"})), "401 platform_token_header"),
        ("not a pinned algorithm", header(json!({"alg": "RS256", "kid": "p1"})), "401 platform_token_algorithm"),
        (
            "brings its key",
            header(json!({"alg": "ES256", "kid": "p1", "jwk": key.jwk("sig")})),
            "401 platform_token_header",
        ),
        (
            "keys to fetch",
            header(json!({"alg": "ES256", "kid": "p1", "jku": https.url("/keys")})),
            "401 platform_token_header",
        ),
        ("must understand", header(json!({"alg": "ES256", "kid": "p1", "crit": ["x"]})), "401 platform_token_header"),
        ("another issuer", with("iss", json!("https://login.evil.example")), "401 platform_token_issuer"),
        ("for another", with("aud", json!("crm")), "401 platform_token_audience"),
        ("over", with("exp", json!(now())), "401 platform_token_expired"),
        ("lives too long", with("exp", json!(now() + 7200)), "401 platform_token_lifetime"),
        ("in the future", with("nbf", json!(now() + 120)), "401 platform_token_not_yet_valid"),
        ("an end as text", with("exp", json!("tomorrow")), "401 platform_token_claims"),
        ("nobody", with("sub", json!(null)), "401 platform_token_claim_missing"),
        ("another workload", with("sub", json!("spiffe://atb.dev/agent/support")), "403 platform_binding_mismatch"),
        ("the beginning of it", with("sub", json!("spiffe://atb.dev/agent")), "403 platform_binding_mismatch"),
        ("no token", "x".to_owned(), "401 platform_token_malformed"),
    ];
    for (what, token, verdict) in rows {
        let answer = issue(&app, AGENT, Some(&token)).await;
        assert_eq!(answer.verdict(), verdict, "{what}: {answer}");
        if answer.status != 201 {
            answer.assert_problem();
        }
    }
    // The token of one workload with the SVID of another.
    let answer = issue(&app, OTHER, Some(&key.signs(&good))).await;
    assert_eq!(answer.verdict(), "403 platform_binding_mismatch", "{answer}");
    app.finish().await;
}

#[tokio::test]
async fn a_binding_by_prefix_or_table_binds_what_it_names() {
    let key = Issuer::new("p1");
    let https = provider(&[&key]).await;
    let subject = "system:serviceaccount:agents:procurement";
    let table = format!("binding = \"mapping\"\nmapping = {{ \"{subject}\" = [\"{AGENT_ID}\"] }}");
    let rows = [
        ("binding = \"prefix\"".to_owned(), "spiffe://atb.dev/agent", (201, 201)),
        ("binding = \"prefix\"".to_owned(), AGENT_ID, (201, 403)),
        ("binding = \"prefix\"".to_owned(), "spiffe://atb.dev/agent/proc", (403, 403)),
        (table.clone(), subject, (201, 403)),
        (table, "system:serviceaccount:agents:other", (403, 403)),
        ("binding = \"off\"".to_owned(), "anybody", (201, 201)),
    ];
    for (binding, sub, expected) in rows {
        let app = TestApp::start_with(|home| configured(home, &https, &binding)).await;
        let token = key.signs(&about(&https, sub));
        let agent = issue(&app, AGENT, Some(&token)).await.status;
        let other = issue(&app, OTHER, Some(&token)).await;
        // The other agent may not have the act; that is the policy's word, after the binding's.
        let other = if other.reason() == "platform_binding_mismatch" { 403 } else { 201 };
        assert_eq!((agent, other), expected, "{binding} {sub}");
        let without = issue(&app, AGENT, None).await.status;
        assert_eq!(without, if binding.contains("off") { 201 } else { 401 }, "{binding}");
        app.finish().await;
    }
}

#[tokio::test]
async fn keys_rotate_without_a_restart_and_unknown_names_do_not_flood_the_provider() {
    let (first, second) = (Issuer::new("p1"), Issuer::new("p2"));
    let https = provider(&[&first]).await;
    let app = TestApp::start_with(|home| configured(home, &https, "binding = \"exact\"")).await;
    // Many at once, none known yet: one fetch.
    https.takes(Duration::from_millis(200));
    let token = first.signs(&about(&https, AGENT_ID));
    let answers = futures_util::future::join_all((0..20).map(|_| issue(&app, AGENT, Some(&token)))).await;
    assert!(answers.iter().all(|answer| answer.status == 201), "{}", answers[0]);
    assert_eq!(https.hits(), 2, "metadata and keys, once for all");
    // A flood of names that nobody has.
    https.takes(Duration::ZERO);
    let (before, began) = (https.hits(), Instant::now());
    for n in 0..100 {
        let token = first.signs_as(&json!({"alg": "ES256", "kid": format!("made-up-{n}")}), &about(&https, AGENT_ID));
        assert_eq!(issue(&app, AGENT, Some(&token)).await.verdict(), "401 platform_token_unknown_key");
    }
    let allowed = 2 * (usize::try_from(began.elapsed().as_secs()).unwrap() / 2 + 1);
    assert!(https.hits() - before <= allowed, "{} fetches in {:?}", https.hits() - before, began.elapsed());
    // The provider rotates: the new key is found as soon as it may be asked for, the old one is gone.
    publish(&https, &[&second]);
    tokio::time::sleep(Duration::from_millis(2100)).await;
    let fresh = second.signs(&about(&https, AGENT_ID));
    let answer = issue(&app, AGENT, Some(&fresh)).await;
    assert_eq!(answer.status, 201, "{answer}");
    tokio::time::sleep(Duration::from_millis(2100)).await;
    assert_eq!(issue(&app, AGENT, Some(&token)).await.verdict(), "401 platform_token_unknown_key");
    app.finish().await;
}

#[tokio::test]
async fn a_provider_that_is_away_is_lived_without_until_its_keys_are_too_old() {
    let key = Issuer::new("p1");
    let https = provider(&[&key]).await;
    let app = TestApp::start_with(|home| {
        configured(home, &https, "binding = \"exact\"\nrefresh_seconds = 1\nmax_stale_seconds = 6");
    })
    .await;
    let token = key.signs(&about(&https, AGENT_ID));
    let fetched = Instant::now();
    assert_eq!(issue(&app, AGENT, Some(&token)).await.status, 201);
    https.answers("/keys", 503, "");
    tokio::time::sleep(Duration::from_millis(2500)).await;
    let answer = issue(&app, AGENT, Some(&token)).await;
    if fetched.elapsed() < Duration::from_secs(5) {
        assert_eq!(answer.status, 201, "the keys are not too old yet: {answer}");
    }
    tokio::time::sleep(Duration::from_millis(6500)).await;
    let answer = issue(&app, AGENT, Some(&token)).await;
    assert_eq!(answer.verdict(), "503 platform_keys_unavailable", "{answer}");
    assert_eq!(answer.header("retry-after"), "1");
    answer.assert_problem();
    // It comes back.
    publish(&https, &[&key]);
    tokio::time::sleep(Duration::from_millis(2100)).await;
    assert_eq!(issue(&app, AGENT, Some(&token)).await.status, 201);
    app.finish().await;
}

#[tokio::test]
async fn whatever_else_answers_for_the_provider_lets_nobody_in() {
    let key = Issuer::new("p1");
    let https = provider(&[&key]).await;
    let stranger = Https::start().await;
    let metadata = |issuer: &str| json!({"issuer": issuer, "jwks_uri": https.url("/keys")}).to_string();
    let discovery = "/.well-known/openid-configuration";
    let rows: [(&str, &dyn Fn()); 6] = [
        ("metadata of another issuer", &|| https.answers(discovery, 200, &metadata("https://login.evil.example"))),
        ("no metadata", &|| https.answers(discovery, 404, "")),
        ("a redirect", &|| https.answers(discovery, 302, "")),
        ("a page", &|| https.answers(discovery, 200, "<html>")),
        ("keys of a private kind", &|| {
            https.answers(discovery, 200, &metadata(&https.url("")));
            let mut jwk = key.jwk("sig");
            jwk["d"] = "AAAA".into();
            https.answers("/keys", 200, &set(&[jwk]));
        }),
        ("a huge set", &|| https.answers("/keys", 200, &" ".repeat(1 << 20))),
    ];
    for (what, change) in rows {
        change();
        let app = TestApp::start_with(|home| configured(home, &https, "binding = \"exact\"")).await;
        let answer = issue(&app, AGENT, Some(&key.signs(&about(&https, AGENT_ID)))).await;
        assert_eq!(answer.verdict(), "503 platform_keys_unavailable", "{what}: {answer}");
        app.finish().await;
    }
    // A server that another authority vouches for.
    publish(&https, &[&key]);
    let app = TestApp::start_with(|home| {
        configured(home, &https, "binding = \"exact\"");
        std::fs::write(home.path("trust/platform.pem"), &stranger.ca_pem).unwrap();
    })
    .await;
    let answer = issue(&app, AGENT, Some(&key.signs(&about(&https, AGENT_ID)))).await;
    assert_eq!(answer.verdict(), "503 platform_keys_unavailable", "{answer}");
    app.finish().await;
}
