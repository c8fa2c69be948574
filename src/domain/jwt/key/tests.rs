use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, ECDSA_P521_SHA512_FIXED_SIGNING, EcdsaKeyPair,
    EcdsaSigningAlgorithm, KeyPair as _, RSA_PKCS1_SHA256, RSA_PSS_SHA256,
};
use serde_json::json;
use x509_parser::prelude::FromDer as _;
use x509_parser::public_key::PublicKey;
use x509_parser::x509::SubjectPublicKeyInfo;

use super::*;

fn text(bytes: &[u8]) -> String {
    Base64UrlUnpadded::encode_string(bytes)
}

fn ec_pair(alg: &'static EcdsaSigningAlgorithm, crv: &str) -> (EcdsaKeyPair, Value) {
    let pair = EcdsaKeyPair::generate(alg).unwrap();
    let point = pair.public_key().as_ref()[1..].to_vec();
    let (x, y) = point.split_at(point.len() / 2);
    let jwk = json!({"kty": "EC", "crv": crv, "kid": "k", "x": text(x), "y": text(y)});
    (pair, jwk)
}

fn rsa_pair() -> (RsaKeyPair, Value) {
    let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let der = AsDer::<PublicKeyX509Der<'_>>::as_der(pair.public_key()).unwrap();
    let (_, info) = SubjectPublicKeyInfo::from_der(der.as_ref()).unwrap();
    let Ok(PublicKey::RSA(public)) = info.parsed() else { panic!("not an RSA key") };
    let strip = |bytes: &[u8]| text(bytes.strip_prefix(&[0]).unwrap_or(bytes));
    let jwk = json!({"kty": "RSA", "kid": "r", "n": strip(public.modulus), "e": strip(public.exponent)});
    (pair, jwk)
}

fn read(jwk: &Value) -> Result<Option<JwtKey>, JwtKeyError> {
    JwtKey::from_jwk(jwk.as_object().unwrap())
}

#[test]
fn an_ec_key_verifies_the_one_algorithm_of_its_curve() {
    for (alg, crv, own) in [
        (&ECDSA_P256_SHA256_FIXED_SIGNING, "P-256", JwtAlg::Es256),
        (&ECDSA_P384_SHA384_FIXED_SIGNING, "P-384", JwtAlg::Es384),
        (&ECDSA_P521_SHA512_FIXED_SIGNING, "P-521", JwtAlg::Es512),
    ] {
        let (pair, jwk) = ec_pair(alg, crv);
        let key = read(&jwk).unwrap().unwrap();
        let signature = pair.sign(&SystemRandom::new(), b"message").unwrap();
        for claimed in JwtAlg::ALL {
            assert_eq!(key.verifies(claimed, b"message", signature.as_ref()), claimed == own, "{crv} {claimed:?}");
        }
        assert!(!key.verifies(own, b"messagf", signature.as_ref()));
        let spki = AsDer::<PublicKeyX509Der<'_>>::as_der(pair.public_key()).unwrap();
        assert_eq!(key.digest(), Sha256Digest::of(spki.as_ref()), "{crv}");
    }
}

#[test]
fn an_rsa_key_verifies_rs_and_ps_unless_it_says_which() {
    let (pair, mut jwk) = rsa_pair();
    let key = read(&jwk).unwrap().unwrap();
    let sign = |padding| {
        let mut signature = vec![0; pair.public_modulus_len()];
        pair.sign(padding, &SystemRandom::new(), b"message", &mut signature).unwrap();
        signature
    };
    let (pkcs1, pss) = (sign(&RSA_PKCS1_SHA256), sign(&RSA_PSS_SHA256));
    for claimed in JwtAlg::ALL {
        assert_eq!(key.verifies(claimed, b"message", &pkcs1), claimed == JwtAlg::Rs256, "{claimed:?}");
        assert_eq!(key.verifies(claimed, b"message", &pss), claimed == JwtAlg::Ps256, "{claimed:?}");
    }
    let spki = AsDer::<PublicKeyX509Der<'_>>::as_der(pair.public_key()).unwrap();
    assert_eq!(key.digest(), Sha256Digest::of(spki.as_ref()));
    jwk["alg"] = "PS256".into();
    let key = read(&jwk).unwrap().unwrap();
    assert!(key.verifies(JwtAlg::Ps256, b"message", &pss) && !key.verifies(JwtAlg::Rs256, b"message", &pkcs1));
}

#[test]
fn a_key_that_is_not_well_formed_is_refused_by_name() {
    let (_, ec) = ec_pair(&ECDSA_P256_SHA256_FIXED_SIGNING, "P-256");
    let (_, rsa) = rsa_pair();
    let with = |jwk: &Value, name: &str, value: Value| {
        let mut jwk = jwk.clone();
        jwk[name] = value;
        read(&jwk)
    };
    let modulus = rsa["n"].as_str().unwrap();
    let n = Base64UrlUnpadded::decode_vec(modulus).unwrap();
    let x = ec["x"].as_str().unwrap();
    for (what, result, error) in [
        ("a small modulus", with(&rsa, "n", text(&n[..128]).into()), JwtKeyError::Weak),
        ("a leading zero", with(&rsa, "n", text(&[&[0][..], &n].concat()).into()), JwtKeyError::Shape),
        ("an exponent of 3", with(&rsa, "e", text(&[3]).into()), JwtKeyError::Weak),
        ("an even exponent", with(&rsa, "e", text(&[1, 0, 0]).into()), JwtKeyError::Weak),
        ("an empty exponent", with(&rsa, "e", "".into()), JwtKeyError::Shape),
        ("padding", with(&rsa, "n", format!("{modulus}=").into()), JwtKeyError::Shape),
        ("a short coordinate", with(&ec, "x", x[..x.len() - 2].into()), JwtKeyError::Shape),
        ("no coordinate", with(&ec, "y", Value::Null), JwtKeyError::Shape),
        ("another curve's", with(&ec, "crv", "P-384".into()), JwtKeyError::Shape),
        ("a private key", with(&ec, "d", "AAAA".into()), JwtKeyError::Private),
        ("no kid", with(&ec, "kid", Value::Null), JwtKeyError::Kid),
        ("an empty kid", with(&ec, "kid", "".into()), JwtKeyError::Kid),
        ("a long kid", with(&ec, "kid", "k".repeat(257).into()), JwtKeyError::Kid),
        ("RSA's algorithm", with(&ec, "alg", "RS256".into()), JwtKeyError::Algorithm),
        ("another curve's algorithm", with(&ec, "alg", "ES384".into()), JwtKeyError::Algorithm),
        ("a secret's algorithm", with(&rsa, "alg", "HS256".into()), JwtKeyError::Algorithm),
        ("no algorithm", with(&rsa, "alg", Value::Null), JwtKeyError::Algorithm),
    ] {
        assert_eq!(result, Err(error), "{what}");
    }
}

#[test]
fn kinds_of_no_use_are_passed_over() {
    for jwk in [
        json!({"kty": "oct", "kid": "k", "k": "AAAA"}),
        json!({"kty": "OKP", "crv": "Ed25519", "kid": "k", "x": "AAAA"}),
        json!({"kty": "EC", "crv": "secp256k1", "kid": "k", "x": "AAAA", "y": "AAAA"}),
        json!({"kty": "AKP", "kid": "k"}),
        json!({}),
    ] {
        assert_eq!(read(&jwk), Ok(None), "{jwk}");
    }
}

#[test]
fn a_set_is_taken_whole_or_not_at_all() {
    let (_, one) = ec_pair(&ECDSA_P256_SHA256_FIXED_SIGNING, "P-256");
    let (_, mut other) = ec_pair(&ECDSA_P384_SHA384_FIXED_SIGNING, "P-384");
    let all = |_: Option<&str>| true;
    let set = |keys: &[&Value]| JwtKeys::from_set(&json!({ "keys": keys }), all);
    assert_eq!(set(&[&one, &other]), Err(JwtKeyError::DuplicateKid));
    other["kid"] = "o".into();
    let keys = set(&[&one, &other]).unwrap();
    assert_eq!((keys.count(), keys.find("o").is_some(), keys.find("K").is_some()), (2, true, false));
    other["x"] = "AAAA".into();
    assert_eq!(set(&[&one, &other]), Err(JwtKeyError::Shape));
    assert_eq!(set(&[]), Err(JwtKeyError::Count));
    assert_eq!(set(&[&json!({"kty": "oct"})]), Err(JwtKeyError::Count));
    assert_eq!(set(&vec![&one; 65]), Err(JwtKeyError::Count));
    for not_a_set in [json!({}), json!([]), json!({"keys": {}}), json!({"keys": [1]}), json!({"keys": [{"use": 1}]})] {
        assert_eq!(JwtKeys::from_set(&not_a_set, all), Err(JwtKeyError::Set), "{not_a_set}");
    }
    one.as_object().unwrap();
    let marked = |purpose: &str| {
        let mut jwk = one.clone();
        jwk["use"] = purpose.into();
        JwtKeys::from_set(&json!({ "keys": [jwk] }), |purpose| purpose == Some("jwt-svid"))
    };
    assert!(marked("jwt-svid").is_ok());
    assert_eq!(marked("x509-svid"), Err(JwtKeyError::Count));
}
