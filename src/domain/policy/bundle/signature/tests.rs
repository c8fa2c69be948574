use ed25519_dalek::{Signer as _, SigningKey};
use serde_json::{Value, json};

use super::*;
use crate::domain::policy::bundle::MANIFEST;

const NOW: u64 = 1_790_000_000;

fn now() -> Timestamp {
    Timestamp::from_secs(NOW)
}

fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

fn trusted(seed: u8) -> TrustedKey {
    TrustedKey::ed25519(key(seed).verifying_key()).unwrap()
}

fn policy() -> SignaturePolicy {
    let keys = TrustedKeys::new(vec![trusted(1), trusted(2).named("second".to_owned())]).unwrap();
    SignaturePolicy { keys, scope: None, min_sequence: Sequence::new(5) }
}

fn texts() -> Vec<(&'static str, String)> {
    let expires = Timestamp::from_secs(NOW + 60);
    vec![
        (MANIFEST, json!({"revision": "r", "metadata": {"sequence": 5, "expires_at": expires}}).to_string()),
        ("catalogue/data.json", r#"{"a": 1.0}"#.to_owned()),
        ("policy/a.rego", "package a".to_owned()),
        ("policy/b.rego", "package b".to_owned()),
    ]
}

fn files(texts: &[(&str, String)]) -> BundleFiles {
    BundleFiles::new(texts.iter().map(|(path, text)| ((*path).to_owned(), text.clone().into_bytes()))).unwrap()
}

/// Header and claims of a good release by key 1.
fn release(files: &BundleFiles) -> (Value, Value) {
    let release = UnsignedRelease::of(files, trusted(1).kid(), ReleaseAlg::EdDsa, None).unwrap();
    let header = serde_json::to_value(release.header.as_ref()).unwrap();
    (header, serde_json::from_slice(&release.payload).unwrap())
}

fn jws(header: &str, claims: &str, sign: impl Fn(&[u8]) -> Vec<u8>) -> String {
    let encode = |text: &[u8]| Base64UrlUnpadded::encode_string(text);
    let message = format!("{}.{}", encode(header.as_bytes()), encode(claims.as_bytes()));
    format!("{message}.{}", encode(&sign(message.as_bytes())))
}

fn by(seed: u8) -> impl Fn(&[u8]) -> Vec<u8> {
    move |message| key(seed).sign(message).to_bytes().to_vec()
}

fn archive(files: BundleFiles, jws: String) -> UnverifiedArchive {
    UnverifiedArchive { files, signatures: Some(signatures_file(jws)) }
}

/// The good release with one thing changed in header or claims, signed by key 1.
fn changed(change: impl Fn(&mut Value, &mut Value)) -> UnverifiedArchive {
    let files = files(&texts());
    let (mut header, mut claims) = release(&files);
    change(&mut header, &mut claims);
    archive(files, jws(&header.to_string(), &claims.to_string(), by(1)))
}

/// The good release, whose files were changed after they were signed.
fn tampered(change: impl Fn(&mut Vec<(&'static str, String)>)) -> UnverifiedArchive {
    let mut texts = texts();
    let (header, claims) = release(&files(&texts));
    change(&mut texts);
    archive(files(&texts), jws(&header.to_string(), &claims.to_string(), by(1)))
}

#[track_caller]
fn refused(archive: UnverifiedArchive) -> &'static str {
    match archive.verify(&policy(), now()) {
        Ok(verified) => panic!("it was taken: {verified:?}"),
        Err(error) => error.code(),
    }
}

#[test]
fn a_release_that_a_trusted_key_signed_is_taken_whole() {
    let verified = changed(|_, _| {}).verify(&policy(), now()).unwrap();
    assert_eq!(verified.signed_by(), trusted(1).kid());
    assert_eq!(verified.manifest().sequence(), Sequence::new(5));
    assert_eq!(verified.files().digest(), files(&texts()).digest());
}

#[test]
fn white_space_in_a_document_is_not_content() {
    let spaced = tampered(|texts| texts[1].1 = "{ \"a\" :\n1.0 }".to_owned());
    assert!(spaced.verify(&policy(), now()).is_ok());
}

#[test]
fn a_key_is_found_by_thumbprint_by_name_and_among_all_where_nobody_named_it() {
    for (seed, kid) in [(1, None), (2, None), (1, Some("default")), (2, Some("second")), (1, Some(""))] {
        let files = files(&texts());
        let (mut header, mut claims) = release(&files);
        header.as_object_mut().unwrap().remove("kid");
        claims.as_object_mut().unwrap().remove("keyid");
        if let Some(kid) = kid {
            header["kid"] = kid.into();
        }
        let signed = archive(files, jws(&header.to_string(), &claims.to_string(), by(seed)));
        assert_eq!(signed.verify(&policy(), now()).unwrap().signed_by(), trusted(seed).kid(), "{kid:?}");
    }
}

#[test]
fn a_file_that_was_changed_added_removed_or_renamed_refuses_the_bundle() {
    assert_eq!(refused(tampered(|texts| texts[2].1.push(' '))), "bundle_file_changed");
    assert_eq!(refused(tampered(|texts| texts[1].1 = r#"{"a": 1}"#.to_owned())), "bundle_file_changed");
    assert_eq!(refused(tampered(|texts| texts[1].1 = r#"{"a": 1.0, "a": 1.0}"#.to_owned())), "bundle_file_changed");
    assert_eq!(refused(tampered(|texts| texts[0].1 = r#"{"revision":"r"}"#.to_owned())), "bundle_file_changed");
    assert_eq!(refused(tampered(|texts| texts.push(("policy/c.rego", String::new())))), "bundle_file_not_signed");
    assert_eq!(refused(tampered(|texts| drop(texts.pop()))), "bundle_file_missing");
    assert_eq!(refused(tampered(|texts| drop(texts.remove(0)))), "bundle_file_missing");
    assert_eq!(refused(tampered(|texts| texts[3].0 = "policy/z.rego")), "bundle_file_not_signed");
    assert_eq!(refused(tampered(|texts| (texts[2].0, texts[3].0) = (texts[3].0, texts[2].0))), "bundle_file_changed");
}

#[test]
fn the_signature_of_another_bundle_is_refused() {
    let other = [texts(), vec![("policy/c.rego", "package c".to_owned())]].concat();
    let (header, claims) = release(&files(&other));
    let moved = archive(files(&texts()), jws(&header.to_string(), &claims.to_string(), by(1)));
    assert_eq!(refused(moved), "bundle_file_missing");
}

#[test]
fn a_key_that_is_not_trusted_or_not_the_named_one_is_refused() {
    let files = files(&texts());
    let (header, claims) = release(&files);
    let signed = |seed| jws(&header.to_string(), &claims.to_string(), by(seed));
    assert_eq!(refused(archive(files.clone(), signed(3))), "bundle_signature_invalid");
    assert_eq!(refused(archive(files.clone(), signed(2))), "bundle_signature_invalid");
    let stranger = changed(|header, claims| {
        header["kid"] = trusted(3).kid().as_str().into();
        claims["keyid"] = header["kid"].clone();
    });
    assert_eq!(refused(stranger), "bundle_key_unknown");
    assert_eq!(refused(changed(|header, _| header["kid"] = "second".into())), "bundle_signatures_malformed");
}

#[test]
fn no_algorithm_but_the_keys_own_is_taken() {
    let files = files(&texts());
    let (mut header, claims) = release(&files);
    for alg in ["none", "None", "HS256", "ES256", "RS256", "Ed25519", "eddsa", ""] {
        header["alg"] = alg.into();
        let signed = jws(&header.to_string(), &claims.to_string(), by(1));
        assert_eq!(refused(archive(files.clone(), signed)), "bundle_algorithm_refused", "{alg}");
    }
    header["alg"] = "none".into();
    let unsigned = jws(&header.to_string(), &claims.to_string(), |_| Vec::new());
    assert_eq!(refused(archive(files.clone(), unsigned)), "bundle_algorithm_refused");
    header["alg"] = "EdDSA".into();
    for length in [0, 63, 65] {
        let cut = jws(&header.to_string(), &claims.to_string(), |message| {
            by(1)(message).into_iter().chain([0]).take(length).collect()
        });
        assert_eq!(refused(archive(files.clone(), cut)), "bundle_signature_invalid", "{length}");
    }
}

#[test]
fn a_header_with_anything_else_in_it_is_refused() {
    for (name, value) in [
        ("jwk", json!({})),
        ("jku", json!("https://evil.example/")),
        ("x5u", json!("https://evil.example/")),
        ("x5c", json!([])),
        ("crit", json!(["b64"])),
        ("b64", json!(false)),
        ("typ", json!("poa+jwt")),
        ("kid", json!(["a"])),
        ("kid", json!("../../etc/passwd")),
    ] {
        let code = refused(changed(|header, claims| {
            header[name] = value.clone();
            if name == "kid" {
                claims.as_object_mut().unwrap().remove("keyid");
            }
        }));
        assert!(["bundle_signatures_malformed", "bundle_key_unknown"].contains(&code), "{name}: {code}");
    }
    let files = files(&texts());
    let (_, claims) = release(&files);
    let twice = jws(r#"{"alg":"EdDSA","alg":"EdDSA"}"#, &claims.to_string(), by(1));
    assert_eq!(refused(archive(files, twice)), "bundle_signatures_malformed");
}

#[test]
fn claims_that_two_readers_could_take_differently_are_refused() {
    let file = |claims: &Value| claims["files"][0].clone();
    assert_eq!(refused(changed(|_, c| c["exp"] = 1.into())), "bundle_signatures_malformed");
    assert_eq!(refused(changed(|_, c| c["files"] = json!({}))), "bundle_signatures_malformed");
    assert_eq!(refused(changed(|_, c| c["files"][0]["algorithm"] = "MD5".into())), "bundle_signatures_malformed");
    let twice = changed(|_, c| {
        let again = file(c);
        c["files"].as_array_mut().unwrap().push(again);
    });
    assert_eq!(refused(twice), "bundle_signatures_malformed");
    assert_eq!(refused(changed(|_, c| c["files"][0]["name"] = "/.manifest".into())), "bundle_file_not_signed");
    assert_eq!(refused(changed(|_, c| c["files"] = json!([]))), "bundle_file_not_signed");
}

#[test]
fn the_scope_is_the_one_that_was_asked_for() {
    let scoped = |scope: &str| changed(|_, claims| claims["scope"] = scope.into());
    assert_eq!(refused(scoped("production")), "bundle_scope_mismatch");
    assert_eq!(refused(scoped("")), "bundle_scope_mismatch");
    let production = SignaturePolicy { scope: Some("production".to_owned()), ..policy() };
    assert!(scoped("production").verify(&production, now()).is_ok());
    for other in [scoped("staging"), changed(|_, _| {})] {
        assert_eq!(other.verify(&production, now()).unwrap_err().code(), "bundle_scope_mismatch");
    }
}

#[test]
fn a_release_ends_at_its_expiry_and_not_before() {
    let at = |secs| changed(|_, _| {}).verify(&policy(), Timestamp::from_secs(secs));
    assert!(at(NOW + 59).is_ok());
    assert_eq!(at(NOW + 60).unwrap_err().code(), "bundle_expired");
    assert_eq!(at(NOW + 10_000).unwrap_err().code(), "bundle_expired");
}

#[test]
fn a_lower_sequence_and_none_are_refused_where_one_is_asked_for() {
    let with = |manifest: &str| {
        let mut texts = texts();
        texts[0].1 = manifest.to_owned();
        let files = files(&texts);
        let (header, claims) = release(&files);
        archive(files, jws(&header.to_string(), &claims.to_string(), by(1)))
    };
    assert!(with(r#"{"metadata":{"sequence":6}}"#).verify(&policy(), now()).is_ok());
    assert_eq!(refused(with(r#"{"metadata":{"sequence":4}}"#)), "bundle_sequence_too_low");
    assert_eq!(refused(with("{}")), "bundle_sequence_missing");
    assert_eq!(refused(with(r#"{"rego_version":2}"#)), "bundle_manifest_invalid");
    let any = SignaturePolicy { min_sequence: None, ..policy() };
    assert!(with("{}").verify(&any, now()).is_ok());
}

#[test]
fn there_is_exactly_one_signature_and_nothing_behind_it() {
    let good = String::from_utf8(changed(|_, _| {}).signatures.unwrap()).unwrap();
    let jws = serde_json::from_str::<Value>(&good).unwrap()["signatures"][0].clone();
    let with = |text: String| UnverifiedArchive { files: files(&texts()), signatures: Some(text.into_bytes()) };
    assert!(with(json!({"signatures": [jws], "plugin": "_default"}).to_string()).verify(&policy(), now()).is_ok());
    for bad in [
        json!({"signatures": []}).to_string(),
        json!({"signatures": [jws, jws]}).to_string(),
        json!({"signatures": [jws], "plugin": "mine"}).to_string(),
        json!({"signatures": jws}).to_string(),
        json!({"signatures": ["a.b"]}).to_string(),
        format!("{good} {{}}"),
        good.replace("\"signatures\"", "\"signatures\":[],\"signatures\""),
        String::new(),
        " ".repeat(MAX_SIGNATURES_BYTES + 1),
    ] {
        assert_eq!(refused(with(bad)), "bundle_signatures_malformed");
    }
    assert_eq!(refused(UnverifiedArchive { files: files(&texts()), signatures: None }), "bundle_unsigned");
}

#[test]
fn no_byte_of_a_signature_can_be_changed() {
    let good = changed(|_, _| {});
    let signatures = good.signatures.clone().unwrap();
    let text = serde_json::from_slice::<Value>(&signatures).unwrap()["signatures"][0].as_str().unwrap().to_owned();
    for i in (0..text.len()).step_by(5) {
        let mut bytes = text.clone().into_bytes();
        bytes[i] = if bytes[i] == b'A' { b'B' } else { b'A' };
        let bad = archive(good.files.clone(), String::from_utf8(bytes).unwrap());
        assert!(bad.verify(&policy(), now()).is_err(), "{i}");
    }
}

/// The folders of `tests/vectors/bundle-archive`, signed by a real OPA; see `scripts/opa-interop`.
fn signed_by_opa(folder: &str) -> UnverifiedArchive {
    fn walk(root: &std::path::Path, folder: &std::path::Path, files: &mut Vec<(String, Vec<u8>)>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(root, &path, files);
            } else {
                let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                files.push((name, std::fs::read(&path).unwrap()));
            }
        }
    }
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/bundle-archive").join(folder);
    let mut files = Vec::new();
    walk(&root, &root, &mut files);
    let signatures = files.iter().position(|(name, _)| name == SIGNATURES).map(|at| files.remove(at).1);
    UnverifiedArchive { files: BundleFiles::new(files).unwrap(), signatures }
}

fn opa_policy() -> SignaturePolicy {
    // The last 32 bytes of an Ed25519 SubjectPublicKeyInfo of 44 bytes (RFC 8410 §4).
    let pem = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/bundle-archive/EdDSA.pub.pem"));
    let text: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    let key = TrustedKey::from_spki_der(&base64ct::Base64::decode_vec(&text).unwrap()).unwrap();
    SignaturePolicy { keys: TrustedKeys::new(vec![key]).unwrap(), scope: None, min_sequence: None }
}

#[test]
fn documents_are_hashed_as_opa_hashes_them() {
    let signed = signed_by_opa("documents");
    assert!(signed.files.iter().count() > 15);
    signed.verify(&opa_policy(), now()).unwrap();
}

/// YAML that OPA's reader and ours take differently: what was signed is then not what would be read.
#[test]
fn yaml_that_opa_reads_otherwise_is_refused_as_changed() {
    let signed = signed_by_opa("odd-yaml");
    let (_, claims) = verified_claims(signed.signatures.as_deref().unwrap(), &opa_policy().keys).unwrap();
    let mut other = Vec::new();
    for (path, content) in signed.files.iter() {
        let hash = &claims.files.iter().find(|file| file.name == path).unwrap().hash;
        if opa_hash::digest(path, content).map(|digest| digest.to_hex()).as_ref() != Ok(hash) {
            other.push(path);
        }
    }
    assert_eq!(other, ["odd-octal/data.yaml"]);
    assert_eq!(signed.verify(&opa_policy(), now()).unwrap_err().code(), "bundle_file_changed");
}
