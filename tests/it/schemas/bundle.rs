//! What a release says of itself, and what its signature vouches for.

use atb::domain::id::Sha256Digest;
use atb::domain::policy::bundle::{BundleFiles, MANIFEST, Manifest, Release, ReleaseAlg, Sequence, UnsignedRelease};
use atb::domain::time::Timestamp;
use serde_json::{Value, json};

use super::{fits, refuses, with};

fn manifest() -> Vec<u8> {
    Manifest::default()
        .released(Release {
            revision: "r1".parse().unwrap(),
            sequence: Sequence::new(7).unwrap(),
            expires_at: Some(Timestamp::from_secs(1_800_000_000)),
            built_with: "atb".to_owned(),
        })
        .to_json()
}

#[test]
fn a_manifest_fits_and_one_that_is_refused_does_not() {
    let document: Value = serde_json::from_slice(&manifest()).unwrap();
    let defects = vec![
        ("/revision", json!("a b")),
        ("/roots", json!([])),
        ("/rego_version", json!(2)),
        ("/file_rego_versions", json!({"/a.rego": 2})),
        ("/wasm", json!([{}])),
        ("/metadata/sequence", json!(0)),
        ("/metadata/sequence", json!("7")),
        ("/metadata/expires_at", json!("tomorrow")),
        ("/sequence", json!(7)),
    ];
    for (pointer, value) in &defects {
        let text = with(&document, pointer, value.clone()).to_string().into_bytes();
        let read = Manifest::of(&BundleFiles::new([(MANIFEST.to_owned(), text)]).unwrap());
        assert!(read.is_err(), "{pointer} {value}");
    }
    refuses("bundle-manifest", &document, defects);
    fits("bundle-manifest", &with(&document, "/metadata/by", json!("ci")));
    fits("bundle-manifest", &with(&document, "/rego_version", json!(0)));
    fits("bundle-manifest", &with(&document, "/file_rego_versions", json!({"/old/*.rego": 0})));
}

#[test]
fn the_claims_of_a_signature_fit() {
    let files = BundleFiles::new([(MANIFEST.to_owned(), manifest()), ("a/b.rego".to_owned(), Vec::new())]).unwrap();
    let kid = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k".parse().unwrap();
    let release = UnsignedRelease::of(&files, &kid, ReleaseAlg::EdDsa, Some("production")).unwrap();
    let claims: Value = serde_json::from_slice(&release.payload).unwrap();
    assert_eq!(claims["files"][1]["hash"], Sha256Digest::of(b"").to_hex());
    let defects = vec![
        ("/files/0/algorithm", json!("MD5")),
        ("/files/0/hash", json!("ab")),
        ("/files/0/name", json!("/.manifest")),
        ("/files/0/size", json!(1)),
        ("/exp", json!(1)),
        ("/scope", Value::Null),
    ];
    refuses("bundle-signature", &claims, defects);
}
