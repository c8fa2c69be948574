//! Keys that releases of a policy are signed with: public keys, each under its RFC 7638 thumbprint.
//!
//! A key has one algorithm: Ed25519 `EdDSA` (RFC 8037 §3.1), P-256 `ES256`, RSA of 2048 to 8192 bits `RS256` (RFC 7518
//! §3.3, §3.4). RSA is verified for bundles that OPA signed and never used to sign.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
};
use base64ct::{Base64UrlUnpadded, Encoding as _};
use ed25519_dalek::{Signature, VerifyingKey};
use serde::{Deserialize, Serialize};
use x509_parser::oid_registry::{OID_EC_P256, OID_KEY_TYPE_EC_PUBLIC_KEY, OID_PKCS1_RSAENCRYPTION, OID_SIG_ED25519};
use x509_parser::prelude::FromDer as _;
use x509_parser::public_key::PublicKey;
use x509_parser::x509::SubjectPublicKeyInfo;

use crate::domain::id::{KeyId, Sha256Digest};

/// The most keys that one policy trusts.
const MAX_KEYS: usize = 32;
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;
/// An uncompressed point (SEC 1 §2.3.3): 4, x, y.
const POINT_BYTES: usize = 65;
const COORDINATE_BYTES: usize = 32;

/// How a release is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReleaseAlg {
    /// Ed25519.
    #[serde(rename = "EdDSA")]
    EdDsa,
    /// ECDSA over P-256 with SHA-256.
    #[serde(rename = "ES256")]
    Es256,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    #[serde(rename = "RS256")]
    Rs256,
}

impl ReleaseAlg {
    /// The `alg` value.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::EdDsa => "EdDSA",
            Self::Es256 => "ES256",
            Self::Rs256 => "RS256",
        }
    }
}

/// Why a key or a set of keys is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TrustedKeyError {
    /// Not a public key of a kind that signs releases.
    #[error("expected a public key: Ed25519, P-256 or RSA of 2048 to 8192 bits")]
    Kind,
    /// A point with which forged signatures pass, or one that is not in its one spelling.
    #[error("the Ed25519 key is a point of small order or not in canonical form")]
    Weak,
    /// None, or too many.
    #[error("expected 1 to {MAX_KEYS} trusted keys")]
    Count,
    /// One id for two keys.
    #[error("two trusted keys have the same name or are the same key")]
    Twice,
}

/// A public key whose signature makes a release count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedKey {
    kid: KeyId,
    name: Option<String>,
    key: Key,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Key {
    Ed25519(VerifyingKey),
    P256(Vec<u8>),
    Rsa { n: Vec<u8>, e: Vec<u8> },
}

impl TrustedKey {
    /// The key in a DER `SubjectPublicKeyInfo` (RFC 5280 §4.1).
    ///
    /// # Errors
    /// As the variants of [`TrustedKeyError`] say.
    pub fn from_spki_der(der: &[u8]) -> Result<Self, TrustedKeyError> {
        let (rest, info) = SubjectPublicKeyInfo::from_der(der).map_err(|_| TrustedKeyError::Kind)?;
        if !rest.is_empty() {
            return Err(TrustedKeyError::Kind);
        }
        let bytes: &[u8] = &info.subject_public_key.data;
        let algorithm = &info.algorithm.algorithm;
        if *algorithm == OID_SIG_ED25519 && info.algorithm.parameters.is_none() {
            let bytes = bytes.try_into().map_err(|_| TrustedKeyError::Kind)?;
            return Self::ed25519(VerifyingKey::from_bytes(bytes).map_err(|_| TrustedKeyError::Kind)?);
        }
        if *algorithm == OID_KEY_TYPE_EC_PUBLIC_KEY {
            let curve = info.algorithm.parameters.as_ref().and_then(|parameters| parameters.as_oid().ok());
            return if curve == Some(OID_EC_P256) { Self::p256(bytes) } else { Err(TrustedKeyError::Kind) };
        }
        match info.parsed() {
            Ok(PublicKey::RSA(rsa)) if *algorithm == OID_PKCS1_RSAENCRYPTION && RSA_BITS.contains(&rsa.key_size()) => {
                Self::new(Key::Rsa { n: minimal(rsa.modulus), e: minimal(rsa.exponent) })
            }
            _ => Err(TrustedKeyError::Kind),
        }
    }

    /// An Ed25519 key.
    ///
    /// # Errors
    /// [`TrustedKeyError::Weak`].
    pub fn ed25519(key: VerifyingKey) -> Result<Self, TrustedKeyError> {
        if key.is_weak() || key.to_edwards().compress().as_bytes() != key.as_bytes() {
            return Err(TrustedKeyError::Weak);
        }
        Self::new(Key::Ed25519(key))
    }

    /// An uncompressed point of P-256. That it is on the curve is checked with every signature.
    ///
    /// # Errors
    /// [`TrustedKeyError::Kind`].
    pub fn p256(point: &[u8]) -> Result<Self, TrustedKeyError> {
        if point.len() != POINT_BYTES || point.first() != Some(&4) {
            return Err(TrustedKeyError::Kind);
        }
        Self::new(Key::P256(point.to_vec()))
    }

    fn new(key: Key) -> Result<Self, TrustedKeyError> {
        let kid = thumbprint(&key).parse().map_err(|_| TrustedKeyError::Kind)?;
        Ok(Self { kid, name: None, key })
    }

    /// The same key, also known by the name that another signer gives it (OPA's `keyid`).
    #[must_use]
    pub fn named(self, name: String) -> Self {
        Self { name: Some(name), ..self }
    }

    /// The RFC 7638 thumbprint.
    pub fn kid(&self) -> &KeyId {
        &self.kid
    }

    /// How this key signs.
    pub fn alg(&self) -> ReleaseAlg {
        match self.key {
            Key::Ed25519(_) => ReleaseAlg::EdDsa,
            Key::P256(_) => ReleaseAlg::Es256,
            Key::Rsa { .. } => ReleaseAlg::Rs256,
        }
    }

    /// Whether the key signed the message.
    pub(super) fn signed(&self, message: &[u8], signature: &[u8]) -> bool {
        match &self.key {
            // Strict: with a plain check a forged signature can pass.
            Key::Ed25519(key) => Signature::from_slice(signature).is_ok_and(|s| key.verify_strict(message, &s).is_ok()),
            Key::P256(point) => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(message, signature).is_ok()
            }
            Key::Rsa { n, e } => {
                RsaPublicKeyComponents { n, e }.verify(&RSA_PKCS1_2048_8192_SHA256, message, signature).is_ok()
            }
        }
    }

    fn is_called(&self, id: &str) -> bool {
        self.kid.as_str() == id || self.name.as_deref() == Some(id)
    }
}

/// RFC 7638 §3: the required members in the order of their names.
fn thumbprint(key: &Key) -> String {
    let text = Base64UrlUnpadded::encode_string;
    let canonical = match key {
        Key::Ed25519(key) => format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, text(key.as_bytes())),
        Key::P256(point) => {
            let (x, y) = point.get(1..).unwrap_or_default().split_at_checked(COORDINATE_BYTES).unwrap_or_default();
            format!(r#"{{"crv":"P-256","kty":"EC","x":"{}","y":"{}"}}"#, text(x), text(y))
        }
        Key::Rsa { n, e } => format!(r#"{{"e":"{}","kty":"RSA","n":"{}"}}"#, text(e), text(n)),
    };
    text(Sha256Digest::of(canonical.as_bytes()).as_bytes())
}

/// A DER integer without the zero that keeps it positive.
fn minimal(integer: &[u8]) -> Vec<u8> {
    integer.iter().copied().skip_while(|byte| *byte == 0).collect()
}

/// The keys whose signature makes a release count: 1 to 32, none twice.
#[derive(Debug, Clone)]
pub struct TrustedKeys(Vec<TrustedKey>);

impl TrustedKeys {
    /// These keys.
    ///
    /// # Errors
    /// As the variants of [`TrustedKeyError`] say.
    pub fn new(keys: Vec<TrustedKey>) -> Result<Self, TrustedKeyError> {
        if !(1..=MAX_KEYS).contains(&keys.len()) {
            return Err(TrustedKeyError::Count);
        }
        let clash = |one: &TrustedKey, other: &TrustedKey| {
            one.is_called(other.kid.as_str()) || other.name.as_ref().is_some_and(|name| one.is_called(name))
        };
        let twice = keys.iter().enumerate().any(|(i, one)| keys.iter().skip(i + 1).any(|other| clash(one, other)));
        if twice { Err(TrustedKeyError::Twice) } else { Ok(Self(keys)) }
    }

    /// The key that goes by `id`: its thumbprint or its name.
    pub(super) fn find(&self, id: &str) -> Option<&TrustedKey> {
        self.0.iter().find(|key| key.is_called(id))
    }

    /// The keys.
    pub fn iter(&self) -> impl Iterator<Item = &TrustedKey> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ED25519: &str = "302a300506032b6570032100d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";

    fn spki(hex: &str) -> Vec<u8> {
        (0..hex.len()).step_by(2).map(|i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap()).collect()
    }

    /// The public key of RFC 8037 appendix A.2 and its thumbprint of appendix A.3.
    #[test]
    fn an_ed25519_key_goes_by_its_thumbprint_and_by_its_name() {
        let key = TrustedKey::from_spki_der(&spki(ED25519)).unwrap();
        assert_eq!(key.kid().as_str(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
        let keys = TrustedKeys::new(vec![key.named("release".to_owned())]).unwrap();
        assert!(keys.find("release").is_some() && keys.find("kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k").is_some());
        assert!(keys.find("").is_none() && keys.find("other").is_none());
    }

    /// The RSA key of RFC 7638 §3.1.
    #[test]
    fn an_rsa_key_goes_by_its_thumbprint() {
        let n = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMs\
                 tn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn\
                 1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";
        let key = Key::Rsa { n: Base64UrlUnpadded::decode_vec(n).unwrap(), e: vec![1, 0, 1] };
        assert_eq!(TrustedKey::new(key).unwrap().kid().as_str(), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
    }

    #[test]
    fn weak_foreign_and_repeated_keys_are_refused() {
        let key = || TrustedKey::from_spki_der(&spki(ED25519)).unwrap();
        let mut small = spki(ED25519);
        small.splice(12.., std::iter::once(1).chain([0; 31]));
        assert_eq!(TrustedKey::from_spki_der(&small), Err(TrustedKeyError::Weak));
        let mut longer = spki(ED25519);
        longer.push(0);
        assert_eq!(TrustedKey::from_spki_der(&longer), Err(TrustedKeyError::Kind));
        assert_eq!(TrustedKey::from_spki_der(b"secret"), Err(TrustedKeyError::Kind));
        assert_eq!(TrustedKey::p256(&[4; 64]), Err(TrustedKeyError::Kind));
        assert_eq!(TrustedKeys::new(vec![]).unwrap_err(), TrustedKeyError::Count);
        assert_eq!(TrustedKeys::new(vec![key(), key()]).unwrap_err(), TrustedKeyError::Twice);
    }
}
