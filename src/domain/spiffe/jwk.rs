//! One key of a SPIFFE bundle as a JWK (RFC 7517, RFC 7518 §6; SPIFFE Trust Domain and Bundle §4.2).
//!
//! Members that nobody here knows are ignored, because RFC 7517 §4 says so; those that are known are read strictly. A
//! document with a private key in it is refused: whoever published it has lost that key.

use base64ct::{Base64UrlUnpadded, Encoding as _};
use serde::Deserialize;
use serde_json::Value;
use x509_parser::oid_registry::{OID_EC_P256, OID_NIST_EC_P384, OID_SIG_ED25519};
use x509_parser::public_key::PublicKey;
use x509_parser::x509::SubjectPublicKeyInfo;

use super::document::DocumentError;

/// The sizes of an RSA modulus, in bits.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;
/// FIPS 186-5 §5.4: a public exponent is larger than 2^16; nobody uses one of more than four bytes.
const RSA_EXPONENT: std::ops::RangeInclusive<u64> = 65_537..=0xffff_ffff;
/// What is in an uncompressed point before the coordinates (SEC 1 §2.3.3).
const UNCOMPRESSED: u8 = 4;

/// The members that are looked at.
#[derive(Deserialize)]
pub(super) struct RawJwk {
    kty: String,
    #[serde(rename = "use", default)]
    pub(super) usage: Option<String>,
    #[serde(default)]
    pub(super) x5c: Option<Vec<String>>,
    #[serde(default)]
    crv: Option<String>,
    #[serde(default)]
    x: Option<String>,
    #[serde(default)]
    y: Option<String>,
    #[serde(default)]
    n: Option<String>,
    #[serde(default)]
    e: Option<String>,
    /// RFC 7518 §6.2.2, §6.3.2, §6.4: a private or a symmetric key.
    #[serde(default)]
    d: Option<Value>,
    #[serde(default)]
    k: Option<Value>,
}

/// A public key of a type that X.509-SVIDs or JWT-SVIDs may have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum PublicJwk {
    P256([u8; 65]),
    P384([u8; 97]),
    Rsa { n: Vec<u8>, e: Vec<u8> },
    Ed25519([u8; 32]),
}

impl RawJwk {
    /// The key, or `None` where its type or curve is none that is known here.
    pub(super) fn key(&self, position: usize) -> Result<Option<PublicJwk>, DocumentError> {
        if self.d.is_some() || self.k.is_some() {
            return Err(DocumentError::PrivateKey(position));
        }
        let wrong = || DocumentError::Key(position);
        let key = match (self.kty.as_str(), self.crv.as_deref()) {
            ("EC", Some("P-256")) => point(self.coordinates().ok_or_else(wrong)?).map(PublicJwk::P256),
            ("EC", Some("P-384")) => point(self.coordinates().ok_or_else(wrong)?).map(PublicJwk::P384),
            ("OKP", Some("Ed25519")) => {
                self.x.as_deref().and_then(decoded).and_then(|x| x.try_into().ok()).map(PublicJwk::Ed25519)
            }
            ("RSA", _) => {
                let (n, e) = (self.n.as_deref().and_then(decoded), self.e.as_deref().and_then(decoded));
                n.zip(e).filter(|(n, e)| is_strong(n, e)).map(|(n, e)| PublicJwk::Rsa { n, e })
            }
            ("EC" | "OKP", None) => None,
            _ => return Ok(None),
        };
        key.map(Some).ok_or_else(wrong)
    }

    fn coordinates(&self) -> Option<(Vec<u8>, Vec<u8>)> {
        self.x.as_deref().and_then(decoded).zip(self.y.as_deref().and_then(decoded))
    }
}

impl PublicJwk {
    /// Whether it is the key of a certificate (RFC 7517 §4.7: it must be).
    pub(super) fn is_key_of(&self, info: &SubjectPublicKeyInfo<'_>) -> bool {
        let bytes: &[u8] = &info.subject_public_key.data;
        let curve = || info.algorithm.parameters.as_ref()?.as_oid().ok();
        match self {
            Self::P256(point) => curve() == Some(OID_EC_P256) && bytes == point,
            Self::P384(point) => curve() == Some(OID_NIST_EC_P384) && bytes == point,
            Self::Ed25519(key) => info.algorithm.algorithm == OID_SIG_ED25519 && bytes == key,
            Self::Rsa { n, e } => match info.parsed() {
                Ok(PublicKey::RSA(rsa)) => {
                    unsigned(rsa.modulus) == n.as_slice() && unsigned(rsa.exponent) == e.as_slice()
                }
                _ => false,
            },
        }
    }
}

/// A DER integer without its sign byte.
fn unsigned(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(&[0]).unwrap_or(bytes)
}

fn decoded(text: &str) -> Option<Vec<u8>> {
    Base64UrlUnpadded::decode_vec(text).ok()
}

/// RFC 7518 §6.2.1.2: a coordinate has the full length of its field.
fn point<const N: usize>((x, y): (Vec<u8>, Vec<u8>)) -> Option<[u8; N]> {
    let half = N / 2;
    if x.len() != half || y.len() != half {
        return None;
    }
    [vec![UNCOMPRESSED], x, y].concat().try_into().ok()
}

fn is_strong(n: &[u8], e: &[u8]) -> bool {
    // RFC 7518 §2: Base64urlUInt has no leading zero, so that one number has one spelling.
    let bits = match n.first() {
        None | Some(0) => return false,
        Some(first) => n.len() * 8 - first.leading_zeros() as usize,
    };
    let exponent = match e {
        [first, ..] if *first != 0 && e.len() <= 4 => e.iter().fold(0, |all, byte| all << 8 | u64::from(*byte)),
        _ => return false,
    };
    RSA_BITS.contains(&bits) && RSA_EXPONENT.contains(&exponent) && exponent % 2 == 1
}
