use base64ct::{Base64, Base64UrlUnpadded, Encoding as _};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use serde_json::{Value, json};
use x509_parser::parse_x509_certificate;

use super::*;

fn fixture(name: &str) -> CertificateDer<'static> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/svid");
    let pem = std::fs::read(folder.join(name)).unwrap();
    CertificateDer::from_pem_slice(&pem).unwrap()
}

/// The entry of a certificate with an EC key.
fn x509(name: &str) -> Value {
    let der = fixture(name);
    let (_, certificate) = parse_x509_certificate(&der).unwrap();
    let point = certificate.public_key().subject_public_key.data.to_vec();
    let part = |range| Base64UrlUnpadded::encode_string(point.get(range).unwrap());
    json!({"kty": "EC", "use": "x509-svid", "crv": "P-256", "x": part(1..33), "y": part(33..65),
        "x5c": [Base64::encode_string(&der)]})
}

fn jwt() -> Value {
    let mut key = x509("atb.dev.bundle.pem");
    let members = key.as_object_mut().unwrap();
    members.remove("x5c");
    members.insert("use".to_owned(), "jwt-svid".into());
    members.insert("kid".to_owned(), "k1".into());
    key
}

fn document(keys: &[Value]) -> Value {
    json!({"keys": keys, "spiffe_sequence": 7, "spiffe_refresh_hint": 300})
}

fn parse(document: &Value) -> Result<BundleDocument, DocumentError> {
    BundleDocument::parse("atb.dev".parse().unwrap(), document.to_string().as_bytes())
}

#[test]
fn a_document_gives_authorities_keys_sequence_and_hint() {
    let parsed = parse(&document(&[x509("atb.dev.bundle.pem"), jwt()])).unwrap();
    assert_eq!(parsed.x509.unwrap().domain().as_str(), "atb.dev");
    assert!(parsed.jwt.key("k1").is_some() && parsed.jwt.count() == 1);
    assert_eq!((parsed.sequence, parsed.refresh_hint), (Some(7), Some(Duration::from_secs(300))));
}

#[test]
fn what_the_standard_says_to_ignore_is_ignored() {
    let (mut unknown_use, mut unknown_type, mut no_use) = (jwt(), jwt(), jwt());
    unknown_use["use"] = "sig".into();
    unknown_type["kty"] = "PQC".into();
    no_use.as_object_mut().unwrap().remove("use");
    let mut more = document(&[x509("atb.dev.bundle.pem"), unknown_use, unknown_type, no_use]);
    more["another_member"] = json!({"of": "tomorrow"});
    let parsed = parse(&more).unwrap();
    assert!(parsed.x509.is_some() && parsed.jwt.count() == 0);
    let bare = parse(&json!({"keys": [jwt()]})).unwrap();
    assert!(bare.x509.is_none() && bare.sequence.is_none() && bare.refresh_hint.is_none());
}

#[test]
fn each_defect_refuses_the_whole_document_by_its_name() {
    let edit = |mut key: Value, member: &str, value: Value| {
        key[member] = value;
        key
    };
    let without = |mut key: Value, member: &str| {
        key.as_object_mut().unwrap().remove(member);
        key
    };
    let good = x509("atb.dev.bundle.pem");
    let certificate = good["x5c"][0].clone();
    for (defect, keys) in [
        ("bundle_empty", vec![]),
        ("bundle_empty", vec![edit(jwt(), "use", "sig".into())]),
        ("bundle_with_a_private_key", vec![good.clone(), edit(jwt(), "d", "AA".into())]),
        ("bundle_with_a_private_key", vec![good.clone(), json!({"kty": "oct", "k": "c2VjcmV0"})]),
        ("bundle_key_refused", vec![edit(jwt(), "x", "AA".into())]),
        ("bundle_key_refused", vec![edit(jwt(), "x", "not base64url!".into())]),
        ("bundle_key_refused", vec![edit(jwt(), "alg", "RS256".into())]),
        ("bundle_key_refused", vec![without(jwt(), "crv")]),
        ("bundle_key_refused", vec![json!({"kty": "RSA", "use": "jwt-svid", "kid": "r", "n": "AQAB", "e": "AQAB"})]),
        ("bundle_key_id_refused", vec![without(jwt(), "kid")]),
        ("bundle_key_id_refused", vec![edit(jwt(), "kid", "".into())]),
        ("bundle_key_id_refused", vec![jwt(), jwt()]),
        ("bundle_certificate_refused", vec![without(good.clone(), "x5c")]),
        ("bundle_certificate_refused", vec![edit(good.clone(), "x5c", json!([certificate, certificate]))]),
        ("bundle_certificate_refused", vec![edit(good.clone(), "x5c", json!(["AAAA"]))]),
        (
            "bundle_certificate_refused",
            vec![edit(good.clone(), "x5c", x509("partner.example.bundle.pem")["x5c"].clone())],
        ),
        ("svid_authority_spiffe_id", vec![x509("partner.example.bundle.pem")]),
        ("bundle_too_many", vec![good.clone(); 129]),
        ("bundle_key_id_refused", vec![edit(jwt(), "kid", 7.into())]),
        ("bundle_not_a_document", vec![json!("a key")]),
    ] {
        assert_eq!(parse(&document(&keys)).map(drop).map_err(|error| error.code()), Err(defect), "{keys:?}");
    }
}

#[test]
fn what_is_no_strict_document_is_refused() {
    let good = document(&[jwt()]).to_string();
    for text in [
        String::new(),
        "[]".to_owned(),
        "{}".to_owned(),
        r#"{"keys":null}"#.to_owned(),
        good.replacen("\"spiffe_sequence\":7", "\"spiffe_sequence\":-1", 1),
        good.replacen("\"spiffe_sequence\":7", "\"spiffe_sequence\":\"7\"", 1),
        good.replacen("\"spiffe_sequence\":7", "\"spiffe_sequence\":7,\"spiffe_sequence\":8", 1),
        good.replacen("\"spiffe_refresh_hint\":300", "\"spiffe_refresh_hint\":1.5", 1),
        format!("{good}{good}"),
    ] {
        let refused = BundleDocument::parse("atb.dev".parse().unwrap(), text.as_bytes());
        assert_eq!(refused.map(drop).map_err(|error| error.code()), Err("bundle_not_a_document"), "{text}");
    }
    let large = " ".repeat(MAX_DOCUMENT_BYTES) + &good;
    let refused = BundleDocument::parse("atb.dev".parse().unwrap(), large.as_bytes());
    assert_eq!(refused.map(drop), Err(DocumentError::TooLarge));
}
