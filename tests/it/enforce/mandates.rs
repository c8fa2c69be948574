//! Mandates that are not this agent's genuine, timely permission for this broker: refused before anything is spent.

use std::time::Duration;

use atb::adapters::clock::SystemClock;
use atb::adapters::signer;
use atb::domain::jose;
use atb::service::ports::Clock as _;
use base64ct::{Base64UrlUnpadded, Encoding as _};
use josekit::jws::JwsHeader;
use serde_json::{Value, json};

use super::refused;
use crate::app::{AGENT, OTHER, TestApp, asking};

const READ: &str = "/c/erp/vendors/V-1001";

fn encode(value: &Value) -> String {
    Base64UrlUnpadded::encode_string(value.to_string().as_bytes())
}

fn decode(part: &str) -> Value {
    serde_json::from_slice(&Base64UrlUnpadded::decode_vec(part).unwrap()).unwrap()
}

/// A genuine mandate taken apart, and the means of a thief of AgentAuth's key.
struct Parts {
    genuine: String,
    header: Value,
    claims: Value,
    key: std::path::PathBuf,
}

impl Parts {
    async fn new(app: &TestApp) -> Self {
        let genuine = app.low_mandate().await;
        let parts: Vec<_> = genuine.split('.').collect();
        let (header, claims) = (decode(parts[0]), decode(parts[1]));
        Self { header, claims, key: app.home().path("keys/mandate.pem"), genuine }
    }

    /// The genuine signature under another header.
    fn under(&self, member: &str, value: Value) -> String {
        let mut header = self.header.clone();
        header[member] = value;
        let parts: Vec<_> = self.genuine.split('.').collect();
        format!("{}.{}.{}", encode(&header), parts[1], parts[2])
    }

    /// The claims with one of them replaced, and AgentAuth's own signature over them.
    fn signed(&self, member: &str, value: Value) -> String {
        let mut claims = self.claims.clone();
        claims[member] = value;
        self.sign(&claims.to_string())
    }

    fn sign(&self, payload: &str) -> String {
        let (signer, public) = signer::mandate_signer(signer::read_ed25519(&self.key).unwrap()).unwrap();
        let mut header = JwsHeader::new();
        header.set_token_type("poa+jwt");
        header.set_key_id(public.kid().as_str());
        jose::sign(&header, payload.as_bytes(), signer.signer.as_ref()).unwrap()
    }
}

#[tokio::test]
async fn a_mandate_that_agentauth_did_not_sign_so_is_refused_and_nothing_is_spent() {
    let app = TestApp::start().await;
    let parts = Parts::new(&app).await;
    let pieces: Vec<_> = parts.genuine.split('.').collect();
    let mut grown = parts.claims.clone();
    grown["act"] = json!("erp.vendor.list");
    let jwk = json!({"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"});
    let cases = [
        ("alg none", parts.under("alg", json!("none")), "401 mandate_malformed"),
        (
            "alg none without signature",
            format!("{}.{}.", encode(&json!({"alg": "none", "typ": "poa+jwt", "kid": parts.header["kid"]})), pieces[1]),
            "401 mandate_malformed",
        ),
        ("HS256", parts.under("alg", json!("HS256")), "401 mandate_malformed"),
        ("RS256", parts.under("alg", json!("RS256")), "401 mandate_malformed"),
        ("Ed25519 by its new name", parts.under("alg", json!("Ed25519")), "401 mandate_malformed"),
        ("the approvers' algorithm", parts.under("alg", json!("ES256")), "401 mandate_malformed"),
        ("typ JWT", parts.under("typ", json!("JWT")), "401 mandate_malformed"),
        ("typ of a statement", parts.under("typ", json!("approval+jwt")), "401 mandate_malformed"),
        ("a key in the header", parts.under("jwk", jwk), "401 mandate_malformed"),
        (
            "a key's address in the header",
            parts.under("jku", json!("https://evil.example/jwks")),
            "401 mandate_malformed",
        ),
        (
            "a chain's address in the header",
            parts.under("x5u", json!("https://evil.example/x")),
            "401 mandate_malformed",
        ),
        ("crit", parts.under("crit", json!(["b64"])), "401 mandate_malformed"),
        ("b64", parts.under("b64", json!(false)), "401 mandate_malformed"),
        (
            "unknown kid",
            parts.under("kid", json!("NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs")),
            "401 mandate_key_unknown",
        ),
        ("kid is a path", parts.under("kid", json!("../../keys/mandate.pem")), "401 mandate_malformed"),
        ("kid is SQL", parts.under("kid", json!("' OR 1=1 --")), "401 mandate_malformed"),
        ("other claims", format!("{}.{}.{}", pieces[0], encode(&grown), pieces[2]), "401 mandate_signature"),
        ("another signature", format!("{}.{}.{}", pieces[0], pieces[1], "A".repeat(86)), "401 mandate_signature"),
        ("no signature", format!("{}.{}.", pieces[0], pieces[1]), "401 mandate_signature"),
        ("padding", format!("{}=", parts.genuine), "401 mandate_malformed"),
        ("four parts", format!("{}.e30", parts.genuine), "401 mandate_malformed"),
        ("not a JWS", "let-me-in".to_owned(), "401 mandate_malformed"),
        ("larger than any mandate", "A".repeat(20_000), "401 mandate_malformed"),
    ];
    let caller = app.to_broker(AGENT);
    for (what, token, verdict) in cases {
        let (mark, hits) = (app.mark().await, app.erp_hits());
        let answer = caller.call("GET", READ, &token, None).await;
        let event = refused(&app, what, &answer, verdict, mark, hits).await;
        assert_eq!(event.subject.jti, None, "{what}: an unverified id is on record");
        assert!(answer.header("www-authenticate").starts_with("Bearer"), "{what}");
    }
    assert_eq!(caller.call("GET", READ, &parts.genuine, None).await.status, 200, "the genuine one was spent");
    app.finish().await;
}

#[tokio::test]
async fn claims_that_are_not_for_here_and_now_are_refused_even_under_the_right_key() {
    let app = TestApp::start().await;
    let parts = Parts::new(&app).await;
    let now = SystemClock.now().as_secs();
    let at = |iat: i64, exp: i64| {
        let mut claims = parts.claims.clone();
        let second = |offset: i64| json!(now.checked_add_signed(offset).unwrap());
        (claims["iat"], claims["nbf"], claims["exp"]) = (second(iat), second(iat), second(exp));
        parts.sign(&claims.to_string())
    };
    let text = parts.claims.to_string();
    let cases = [
        ("expired", at(-120, -1), "401 mandate_expired"),
        ("of the future", at(60, 120), "401 mandate_not_yet_valid"),
        ("for longer than the cap", at(0, 301), "401 mandate_lifetime"),
        ("ends before it starts", at(0, -10), "401 mandate_lifetime"),
        ("exp is text", parts.signed("exp", json!((now + 60).to_string())), "401 mandate_malformed"),
        ("exp is a float", parts.signed("exp", json!(now as f64 + 60.5)), "401 mandate_malformed"),
        ("exp is negative", parts.signed("exp", json!(-1)), "401 mandate_malformed"),
        ("exp is huge", parts.signed("exp", json!(u64::MAX)), "401 mandate_lifetime"),
        ("another issuer", parts.signed("iss", json!("spiffe://atb.dev/broker")), "401 mandate_issuer"),
        ("another audience", parts.signed("aud", json!(["spiffe://atb.dev/agentauth"])), "401 mandate_audience"),
        ("no audience", parts.signed("aud", json!([])), "401 mandate_audience"),
        ("audience as text", parts.signed("aud", json!("spiffe://atb.dev/broker")), "401 mandate_malformed"),
        ("an unknown claim", parts.signed("scope", json!("*")), "401 mandate_malformed"),
        ("a claim twice", parts.sign(&text.replacen('{', "{\"act\":\"erp.vendor.read\",", 1)), "401 mandate_malformed"),
        ("another agent's", parts.signed("sub", json!("spiffe://atb.dev/agent/support")), "403 mandate_holder"),
        ("a tier that the catalogue does not give", parts.signed("tier", json!("high")), "403 tier_mismatch"),
        (
            "a template not in force",
            {
                let mut leg = parts.claims["leg"].clone();
                leg["template"]["digest"] = json!(format!("sha-256:{}", "0".repeat(64)));
                parts.signed("leg", leg)
            },
            "403 leg_template_unknown",
        ),
    ];
    let caller = app.to_broker(AGENT);
    for (what, token, verdict) in cases {
        let (mark, hits) = (app.mark().await, app.erp_hits());
        let answer = caller.call("GET", READ, &token, None).await;
        refused(&app, what, &answer, verdict, mark, hits).await;
    }
    assert_eq!(caller.call("GET", READ, &parts.genuine, None).await.status, 200, "the genuine one was spent");
    app.finish().await;
}

#[tokio::test]
async fn a_mandate_is_of_no_use_to_another_agent() {
    let app = TestApp::start().await;
    let mandate = app.low_mandate().await;
    let (mark, hits) = (app.mark().await, app.erp_hits());
    let answer = app.to_broker(OTHER).call("GET", READ, &mandate, None).await;
    let event = refused(&app, "another agent", &answer, "403 mandate_holder", mark, hits).await;
    assert_eq!(event.subject.agent.unwrap().as_str(), "spiffe://atb.dev/agent/support");
    assert_eq!(app.call("GET", READ, &mandate, None).await.status, 200);
    app.finish().await;
}

#[tokio::test]
async fn a_mandate_ends_when_it_says() {
    let app = TestApp::start().await;
    let mut ask = asking("low");
    ask["ttl_seconds"] = 1.into();
    let mandate = app.issue(&ask).await.text("/token");
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    let (mark, hits) = (app.mark().await, app.erp_hits());
    let answer = app.call("GET", READ, &mandate, None).await;
    refused(&app, "after its second", &answer, "401 mandate_expired", mark, hits).await;
    app.finish().await;
}

#[tokio::test]
async fn a_call_carries_exactly_one_mandate() {
    let app = TestApp::start().await;
    let (one, two) = (app.low_mandate().await, app.low_mandate().await);
    let (bearer, other) = (&*format!("Bearer {one}"), &*format!("Bearer {two}"));
    let basic = &*format!("Basic {}", encode(&json!("agent:secret")));
    let cases = [
        ("none", Vec::new(), "401 credential_missing"),
        ("Basic", vec![("authorization", basic)], "401 credential_missing"),
        ("an empty bearer", vec![("authorization", "Bearer ")], "401 credential_missing"),
        ("no scheme", vec![("authorization", one.as_str())], "401 credential_missing"),
        ("two bearers", vec![("authorization", bearer), ("authorization", other)], "400 request_malformed"),
        ("bearer and header", vec![("authorization", bearer), ("x-poa-token", &two)], "400 request_malformed"),
        ("the same twice", vec![("authorization", bearer), ("x-poa-token", &one)], "400 request_malformed"),
        (
            "another agent's name",
            vec![("authorization", bearer), ("x-spiffe-id", "spiffe://atb.dev/agent/support")],
            "403 identity_conflict",
        ),
        (
            "another agent's certificate",
            vec![("authorization", bearer), ("x-forwarded-client-cert", "URI=spiffe://atb.dev/agent/support")],
            "403 identity_conflict",
        ),
    ];
    let caller = app.to_broker(AGENT);
    for (what, headers, verdict) in cases {
        let (mark, hits) = (app.mark().await, app.erp_hits());
        let answer = caller.send("GET", READ, &headers, Vec::new()).await;
        refused(&app, what, &answer, verdict, mark, hits).await;
    }
    let lower = format!("bearer {one}");
    assert_eq!(caller.send("GET", READ, &[("authorization", &lower)], Vec::new()).await.status, 200);
    assert_eq!(caller.send("GET", READ, &[("x-poa-token", &two)], Vec::new()).await.status, 200);
    app.finish().await;
}
