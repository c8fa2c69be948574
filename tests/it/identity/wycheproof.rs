//! Project Wycheproof's vectors through our own verification: Ed25519 as mandates and statements are verified, ECDSA on
//! P-256 as approvers' statements are, and the three curves of tokens of other issuers.
//!
//! Strictness refuses none of the vectors that Wycheproof calls valid, and Wycheproof has no `acceptable` one among them:
//! what `verify_strict` adds (keys and R of small order) is in fixtures of our own, `mandate/signature-small-order-r.jws` among them.

use atb::domain::jose::MandateKey;
use atb::domain::jwt::{JwtAlg, JwtKey};
use atb::domain::spiffe::SvidKey;
use base64ct::{Base64UrlUnpadded, Encoding as _};
use ed25519_dalek::VerifyingKey;
use josekit::jws::JwsVerifier as _;
use serde_json::json;
use wycheproof::{TestResult, ecdsa, eddsa};

/// What the verifier said against what it should have said.
fn held(vectors: impl IntoIterator<Item = (usize, TestResult, bool)>, at_least: usize) {
    let (mut seen, mut wrong) = (0, Vec::new());
    for (id, expected, verified) in vectors {
        assert_ne!(expected, TestResult::Acceptable, "vector {id}: say here what we make of it");
        if verified != (expected == TestResult::Valid) {
            wrong.push(id);
        }
        seen += 1;
    }
    assert_eq!(wrong, Vec::<usize>::new(), "vectors with the wrong outcome");
    assert!(seen >= at_least, "only {seen} vectors");
}

#[test]
fn ed25519_signatures_verify_as_wycheproof_says_for_mandates_and_for_statements() {
    let set = eddsa::TestSet::load(eddsa::TestName::Ed25519).unwrap();
    let (mut mandates, mut statements) = (Vec::new(), Vec::new());
    for group in &set.test_groups {
        let point: [u8; 32] = group.key.pk[..].try_into().unwrap();
        let key = VerifyingKey::from_bytes(&point).unwrap();
        let (mandate, statement) = (MandateKey::new(key).unwrap().verifier(), SvidKey::Ed25519(key));
        for test in &group.tests {
            mandates.push((test.tc_id, test.result, mandate.verify(&test.msg, &test.sig).is_ok()));
            statements.push((test.tc_id, test.result, statement.verify_jws("EdDSA", &test.msg, &test.sig).is_ok()));
        }
    }
    held(mandates, 100);
    held(statements, 100);
}

#[test]
fn ecdsa_signatures_verify_as_wycheproof_says_for_statements_and_for_tokens() {
    let sets = [
        (ecdsa::TestName::EcdsaSecp256r1Sha256P1363, "P-256", JwtAlg::Es256),
        (ecdsa::TestName::EcdsaSecp384r1Sha384P1363, "P-384", JwtAlg::Es384),
        (ecdsa::TestName::EcdsaSecp521r1Sha512P1363, "P-521", JwtAlg::Es512),
    ];
    for (name, curve, alg) in sets {
        let set = ecdsa::TestSet::load(name).unwrap();
        let (mut tokens, mut statements) = (Vec::new(), Vec::new());
        for group in &set.test_groups {
            let point = &group.key.key;
            let (x, y) = point[1..].split_at(point.len() / 2);
            let (x, y) = (Base64UrlUnpadded::encode_string(x), Base64UrlUnpadded::encode_string(y));
            let jwk = json!({"kty": "EC", "crv": curve, "kid": "k", "x": x, "y": y});
            let token = JwtKey::from_jwk(jwk.as_object().unwrap()).unwrap().unwrap();
            let statement = point[..].try_into().map(SvidKey::P256).ok().filter(|_| alg == JwtAlg::Es256);
            for test in &group.tests {
                tokens.push((test.tc_id, test.result, token.verifies(alg, &test.msg, &test.sig)));
                if let Some(key) = &statement {
                    let verified = key.verify_jws("ES256", &test.msg, &test.sig).is_ok();
                    statements.push((test.tc_id, test.result, verified));
                }
            }
        }
        held(tokens, 100);
        held(statements, if alg == JwtAlg::Es256 { 100 } else { 0 });
    }
}
