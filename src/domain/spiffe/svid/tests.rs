//! The table of tests/vectors/svid/index.txt, and what a table cannot say.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use rustls_pki_types::pem::PemObject as _;

use super::*;
use crate::domain::spiffe::{Purpose, TrustBundle, TrustBundles};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/svid")
}

fn read(name: &str) -> Vec<u8> {
    std::fs::read(folder().join(format!("{name}.pem"))).unwrap()
}

fn chain(name: &str) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(&read(name)).map(Result::unwrap).collect()
}

fn bundle(domain: &str) -> TrustBundle {
    TrustBundle::parse_pem(domain.parse().unwrap(), &read(&format!("{domain}.bundle"))).unwrap()
}

fn bundles() -> TrustBundles {
    TrustBundles::new(["atb.dev", "partner.example", "old.example"].map(bundle))
}

fn now() -> Timestamp {
    Timestamp::parse_rfc3339("2026-12-01T00:00:00Z").unwrap()
}

/// The rows of the index: file, purpose, expected.
fn rows() -> Vec<(String, String, String)> {
    let index = std::fs::read_to_string(folder().join("index.txt")).unwrap();
    let row = |line: &str| {
        let mut fields = line.split_whitespace();
        let (file, purpose) = (fields.next()?, fields.next()?);
        Some((file.to_owned(), purpose.to_owned(), fields.nth(1)?.to_owned()))
    };
    index.lines().filter(|line| !line.starts_with('#')).map(|line| row(line).expect(line)).collect()
}

fn outcome(file: &str, purpose: &str) -> String {
    let purpose = match purpose {
        "client" => Purpose::Client,
        "server" => Purpose::Server,
        "signer" => Purpose::Signer,
        "bundle" => {
            let parsed = TrustBundle::parse_pem("atb.dev".parse().unwrap(), &read(file));
            return parsed.map_or_else(|error| error.code().to_owned(), |_| "ok".to_owned());
        }
        other => panic!("purpose {other}"),
    };
    UnverifiedSvid::parse(&chain(file))
        .and_then(|svid| bundles().verify(svid, purpose, now()))
        .map_or_else(|error| error.code().to_owned(), |_| "ok".to_owned())
}

#[test]
fn every_fixture_has_the_outcome_that_the_index_says() {
    let wrong: Vec<_> = rows()
        .into_iter()
        .map(|(file, purpose, expected)| (outcome(&file, &purpose), file, purpose, expected))
        .filter(|(outcome, _, _, expected)| outcome != expected)
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_fixture_is_in_the_index() {
    let listed: BTreeSet<_> = rows().into_iter().map(|(file, ..)| file).collect();
    for entry in std::fs::read_dir(folder()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if let Some(name) = name.strip_suffix(".pem") {
            assert!(listed.contains(name) || ["leaf-key", "old.example.bundle"].contains(&name), "{name}");
        }
    }
}

#[test]
fn nobody_is_refused() {
    assert_eq!(UnverifiedSvid::parse(&[]).unwrap_err(), SvidError::Missing);
}

#[test]
fn an_unknown_critical_extension_is_found_before_any_signature_is_checked() {
    for file in ["unknown-critical-extension", "intermediate-unknown-critical-extension"] {
        assert_eq!(UnverifiedSvid::parse(&chain(file)).unwrap_err(), SvidError::UnknownCriticalExtension, "{file}");
    }
}

#[test]
fn no_byte_of_an_svid_can_be_changed() {
    let (bundles, valid) = (bundles(), chain("valid").remove(0));
    for at in 0..valid.len() {
        let mut changed = valid.to_vec();
        changed[at] ^= 1;
        let verified =
            UnverifiedSvid::parse(&[changed.into()]).and_then(|svid| bundles.verify(svid, Purpose::Client, now()));
        assert!(verified.is_err(), "byte {at}");
    }
}

#[test]
fn a_verified_svid_says_who_until_when_and_by_which_key() {
    let svid = UnverifiedSvid::parse(&chain("valid")).unwrap();
    let svid = bundles().verify(svid, Purpose::Client, now()).unwrap();
    assert_eq!(svid.id().as_str(), "spiffe://atb.dev/agent/procurement");
    assert_eq!(svid.not_before().to_string(), "2026-01-01T00:00:00.000Z");
    assert_eq!(svid.expires_at().to_string(), "2046-01-01T00:00:00.000Z");
    assert_eq!(svid.key().name(), "EC P-256");
    assert_eq!(svid.leaf_der(), &chain("valid")[0]);
    for (file, key) in [("valid-p384", "EC P-384"), ("valid-ed25519", "Ed25519"), ("valid-rsa2048", "RSA")] {
        assert_eq!(UnverifiedSvid::parse(&chain(file)).unwrap().claimed_key().name(), key);
    }
}

#[test]
fn an_svid_that_was_accepted_is_refused_once_it_has_expired() {
    let (bundles, svid) = (bundles(), UnverifiedSvid::parse(&chain("valid-until-now")).unwrap());
    assert!(bundles.verify(svid.clone(), Purpose::Client, now()).is_ok());
    let late = Timestamp::from_millis(now().as_millis() + 1);
    assert_eq!(bundles.verify(svid, Purpose::Client, late).unwrap_err(), SvidError::Expired(now()));
}

#[test]
fn an_svid_expires_with_the_first_certificate_of_its_path() {
    let before = Timestamp::parse_rfc3339("2026-11-01T00:00:00Z").unwrap();
    for file in ["expired", "intermediate-expired", "authority-expired"] {
        let svid = UnverifiedSvid::parse(&chain(file)).unwrap();
        let svid = bundles().verify(svid, Purpose::Client, before).unwrap();
        assert_eq!(svid.expires_at().to_string(), "2026-11-30T23:59:59.000Z", "{file}");
    }
}

#[test]
fn a_bundle_says_until_when_it_is_of_use() {
    let old = bundle("old.example");
    assert_eq!(old.valid_until(now()), None);
    let before = Timestamp::parse_rfc3339("2026-11-01T00:00:00Z").unwrap();
    assert_eq!(old.valid_until(before).unwrap().to_string(), "2026-11-30T23:59:59.000Z");
}

/// The digest is what `openssl x509 -pubkey`, `openssl pkey -pubin -outform DER` and `sha256sum` give.
#[test]
fn a_verified_svid_names_the_key_of_its_trust_anchor_and_its_own_lifetime() {
    const ROOT: &str = "sha-256:f198ec4797b00eef8dd4c47c459434d4faa84ab01e5c06b9fa94daa123c2b815";
    for name in ["valid", "valid-with-intermediate", "valid-with-three-intermediates"] {
        let svid = UnverifiedSvid::parse(&chain(name)).unwrap();
        let leaf = x509::check_leaf(&chain(name)[0]).unwrap().validity;
        let verified = bundles().verify(svid, Purpose::Client, now()).unwrap();
        assert_eq!(verified.authority().to_string(), ROOT, "{name}");
        assert_eq!(verified.own_validity(), (leaf.not_before, leaf.not_after), "{name}");
    }
    let partner = UnverifiedSvid::parse(&chain("valid-of-partner")).unwrap();
    let partner = bundles().verify(partner, Purpose::Client, now()).unwrap();
    assert_ne!(partner.authority().to_string(), ROOT);
}
