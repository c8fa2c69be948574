//! The fixtures of tests/vectors/{mandate,statement,delegation,jwt_svid} and tests/golden/{mandate,statement,delegation}*, from their one source.
//!
//! Everything here is written by hand, byte by byte, and signed with fixed keys; nothing of the program's own writers is
//! used, so that the domain tests compare two independent spellings. `UPDATE_VECTORS=1 cargo test --test it vectors`
//! writes the files. Signatures by P-256 keys are random: such a file is kept once it is there.

mod delegation;
mod jwks;
mod jwt_svid;
mod mandate;
mod people;
mod statement;

use std::path::{Path, PathBuf};

use base64ct::{Base64UrlUnpadded, Encoding};
use ed25519_dalek::{Signer as _, SigningKey};
use sha2::Digest as _;

/// 2026-12-01T00:00:00Z, when every fixture is looked at.
pub const NOW: u64 = 1_796_083_200;

/// One fixture and the one outcome that it must have.
pub struct Vector {
    name: String,
    expected: &'static str,
    what: &'static str,
    text: String,
    random: bool,
}

impl Vector {
    fn new(name: impl Into<String>, expected: &'static str, what: &'static str, text: String) -> Self {
        Self { name: name.into(), expected, what, text, random: false }
    }

    fn random(name: impl Into<String>, expected: &'static str, what: &'static str, text: String) -> Self {
        Self { random: true, ..Self::new(name, expected, what, text) }
    }
}

/// A compact JWS over exactly these texts, signed with the Ed25519 key of `seed`.
pub fn jws(header: &str, payload: &str, seed: u8) -> String {
    let signed = signing_input(header, payload);
    let signature = SigningKey::from_bytes(&[seed; 32]).sign(signed.as_bytes()).to_bytes();
    format!("{signed}.{}", base64url(&signature))
}

/// The same with the identity for R and S = H(R, A, M) · a: only the key's owner can make it, it holds for any number of
/// messages at once under a weaker check, and a strict one refuses it (RFC 8032 §8.2, "Taming the many EdDSAs" §4).
pub fn jws_with_small_order_r(header: &str, payload: &str, seed: u8) -> String {
    let (key, signed) = (SigningKey::from_bytes(&[seed; 32]), signing_input(header, payload));
    let mut r = [0; 32];
    r[0] = 1;
    let hash = sha2::Sha512::digest([&r[..], key.verifying_key().as_bytes(), signed.as_bytes()].concat());
    let a = key.to_scalar();
    let k = hash.iter().rev().fold(number(&a, 0), |k, byte| k * number(&a, 256) + number(&a, u64::from(*byte)));
    format!("{signed}.{}", base64url(&[r, (k * a).to_bytes()].concat()))
}

/// `n` as a scalar, whose type has no name here.
fn number<T: From<u64>>(_: &T, n: u64) -> T {
    T::from(n)
}

pub fn signing_input(header: &str, payload: &str) -> String {
    format!("{}.{}", base64url(header.as_bytes()), base64url(payload.as_bytes()))
}

pub fn base64url(bytes: &[u8]) -> String {
    Base64UrlUnpadded::encode_string(bytes)
}

/// `text` with one thing changed; a change that changes nothing is a mistake in the generator.
pub fn changed(text: &str, from: &str, to: &str) -> String {
    let changed = text.replacen(from, to, 1);
    assert_ne!(changed, text, "`{from}` is not in {text}");
    changed
}

/// `claims` without `member`, whose value is a string, a number or an empty object.
pub fn without(claims: &str, member: &str) -> String {
    let mut object: serde_json::Map<String, serde_json::Value> = serde_json::from_str(claims).unwrap();
    assert!(object.remove(member).is_some(), "{member}");
    serde_json::to_string(&object).unwrap()
}

/// The members of `object` without their names, in the order of `names`: what serde would take for them.
pub fn in_order(object: &str, names: &[&str]) -> String {
    let object: serde_json::Value = serde_json::from_str(object).unwrap();
    assert_eq!(object.as_object().unwrap().len(), names.len());
    serde_json::Value::from_iter(names.iter().map(|name| object[*name].clone())).to_string()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

/// Each file by its path under tests/, with its contents and whether a file that is there is kept.
fn files() -> Vec<(String, String, bool)> {
    let mut files = people::files();
    files.extend(mandate::golden());
    files.extend(statement::golden());
    files.extend(delegation::golden());
    files.extend(people::files_of_delegations());
    files.extend(jwks::files());
    files.extend(jwt_svid::files());
    let folders = [
        ("mandate", mandate::vectors()),
        ("statement", statement::vectors()),
        ("delegation", delegation::vectors()),
        ("jwt_svid", jwt_svid::vectors()),
    ];
    for (folder, vectors) in folders {
        let mut index = format!(
            "# Every .jws of this folder with the one outcome at 2026-12-01T00:00:00Z: ok, or the code of the error.\n\
             # Made by tests/it/vectors.rs.\n#\n# {:<36}  {:<26}  what it is\n",
            "file", "expected"
        );
        for vector in vectors {
            index.push_str(&format!("{:<38}  {:<26}  {}\n", vector.name, vector.expected, vector.what));
            files.push((format!("vectors/{folder}/{}.jws", vector.name), vector.text, vector.random));
        }
        files.push((format!("vectors/{folder}/index.txt"), index, false));
    }
    files
}

#[test]
fn the_fixtures_are_those_of_their_generator() {
    #[expect(clippy::disallowed_methods, reason = "asks whether the files are to be written")]
    let update = std::env::var("UPDATE_VECTORS").is_ok();
    for (path, contents, keep) in files() {
        let path = root().join(path);
        if update && !(keep && path.exists()) {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, &contents).unwrap();
        }
        let found = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(found == contents || (keep && !found.is_empty()), "{}: UPDATE_VECTORS=1 writes it", path.display());
    }
}

#[test]
fn no_fixture_is_left_over() {
    let known: Vec<PathBuf> = files().into_iter().map(|(path, ..)| root().join(path)).collect();
    for folder in
        ["vectors/mandate", "vectors/mandate/jwks", "vectors/statement", "vectors/delegation", "vectors/jwt_svid"]
    {
        for entry in std::fs::read_dir(root().join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let kept = path.is_dir() || path.ends_with("alice-key.pem");
            assert!(kept || known.contains(&path), "{}", path.display());
        }
    }
}
