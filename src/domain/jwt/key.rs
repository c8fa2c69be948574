//! Public keys of other issuers, as JSON Web Keys (RFC 7517, RFC 7518 §6).
//!
//! A set is read key by key: kinds that we have no use for are passed over (RFC 7517 §5), a key of our kinds that is not
//! well-formed refuses the whole set. Certificates in a key (`x5c`) are not looked at.

use aws_lc_rs::rsa::PublicKeyComponents;
use aws_lc_rs::signature::{self, EcdsaVerificationAlgorithm, RsaParameters, UnparsedPublicKey};
use base64ct::{Base64UrlUnpadded, Encoding};
use josekit::JoseError;
use josekit::jws::{JwsAlgorithm, JwsVerifier};
use serde_json::{Map, Value};

use super::JwtAlg;
use crate::domain::id::Sha256Digest;

/// The most keys of one set; a rotation needs two, a large provider some more.
const MAX_KEYS: usize = 64;
/// The longest `kid`.
const MAX_KID_BYTES: usize = 256;
/// The sizes of modulus that are verified with (RFC 7518 §3.3: 2048 bits or more).
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// Why a key or a set of keys is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JwtKeyError {
    /// Not `{"keys": [...]}`.
    #[error("not a JWK set (RFC 7517 §5)")]
    Set,
    /// None that we can use, or too many.
    #[error("expected 1 to {MAX_KEYS} usable keys")]
    Count,
    /// No `kid`, or not a text of 1 to 256 bytes.
    #[error("a key has no `kid` of 1 to {MAX_KID_BYTES} bytes")]
    Kid,
    /// Two keys of one name.
    #[error("two keys have the same `kid`")]
    DuplicateKid,
    /// A number that is missing, not canonical base64url or of the wrong length.
    #[error("a key's numbers are not in their one spelling")]
    Shape,
    /// A modulus or exponent that is too small, or too large to verify with.
    #[error("an RSA key is not of 2048 to 8192 bits with an odd exponent of 65537 or more")]
    Weak,
    /// A private key.
    #[error("a key is a private one")]
    Private,
    /// An `alg` that is not one of the key's kind.
    #[error("a key's `alg` is not one of its kind")]
    Algorithm,
}

/// A key that verifies signatures of its own kind, and its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JwtKey {
    kid: String,
    /// The only algorithm, where the issuer says so.
    alg: Option<JwtAlg>,
    material: Material,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Material {
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
    },
    /// The uncompressed point (SEC 1 §2.3.3).
    Ec(Curve, Vec<u8>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Curve {
    P256,
    P384,
    P521,
}

impl JwtKey {
    /// Reads a key. `None`: a kind that no algorithm of ours uses.
    ///
    /// # Errors
    /// As the variants of [`JwtKeyError`] say.
    pub fn from_jwk(jwk: &Map<String, Value>) -> Result<Option<Self>, JwtKeyError> {
        let text = |name: &str| jwk.get(name).and_then(Value::as_str);
        let material = match (text("kty"), text("crv")) {
            (Some("RSA"), _) => rsa(jwk)?,
            (Some("EC"), Some("P-256")) => ec(jwk, Curve::P256)?,
            (Some("EC"), Some("P-384")) => ec(jwk, Curve::P384)?,
            (Some("EC"), Some("P-521")) => ec(jwk, Curve::P521)?,
            _ => return Ok(None),
        };
        if jwk.contains_key("d") {
            return Err(JwtKeyError::Private);
        }
        let kid = text("kid").filter(|kid| (1..=MAX_KID_BYTES).contains(&kid.len())).ok_or(JwtKeyError::Kid)?;
        let alg = match jwk.get("alg") {
            None => None,
            Some(alg) => Some(serde_json::from_value(alg.clone()).map_err(|_| JwtKeyError::Algorithm)?),
        };
        let key = Self { kid: kid.to_owned(), alg: None, material };
        if alg.is_some_and(|alg| !key.does(alg)) {
            return Err(JwtKeyError::Algorithm);
        }
        Ok(Some(Self { alg, ..key }))
    }

    /// What tokens call it.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// SHA-256 over the DER of its SubjectPublicKeyInfo (RFC 5280 §4.1.2.7), as authorities are named everywhere here.
    pub fn digest(&self) -> Sha256Digest {
        Sha256Digest::of(&self.spki())
    }

    /// Whether it is for signatures of this algorithm.
    pub fn does(&self, alg: JwtAlg) -> bool {
        let kind = match &self.material {
            Material::Rsa { .. } => rsa_parameters(alg).is_some(),
            Material::Ec(curve, _) => ecdsa(alg, *curve).is_some(),
        };
        kind && self.alg.is_none_or(|only| only == alg)
    }

    /// Whether it made the signature. A key of another kind than the algorithm's did not.
    pub fn verifies(&self, alg: JwtAlg, message: &[u8], signature: &[u8]) -> bool {
        if !self.does(alg) {
            return false;
        }
        match &self.material {
            Material::Rsa { n, e } => rsa_parameters(alg)
                .is_some_and(|rsa| PublicKeyComponents { n, e }.verify(rsa, message, signature).is_ok()),
            Material::Ec(curve, point) => ecdsa(alg, *curve)
                .is_some_and(|ec| UnparsedPublicKey::new(ec, point).verify(message, signature).is_ok()),
        }
    }

    /// josekit's verifier for a token that says `alg`.
    pub fn verifier(&self, alg: JwtAlg) -> impl JwsVerifier + use<> {
        KeyVerifier { alg, key: self.clone() }
    }

    fn spki(&self) -> Vec<u8> {
        const RSA_ENCRYPTION: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
        const EC_PUBLIC_KEY: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
        let (algorithm, bits) = match &self.material {
            Material::Rsa { n, e } => {
                let numbers = [der_unsigned(n), der_unsigned(e)].concat();
                ([der(0x06, RSA_ENCRYPTION), der(0x05, &[])].concat(), der(0x30, &numbers))
            }
            Material::Ec(curve, point) => {
                let curve: &[u8] = match curve {
                    Curve::P256 => &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07],
                    Curve::P384 => &[0x2b, 0x81, 0x04, 0x00, 0x22],
                    Curve::P521 => &[0x2b, 0x81, 0x04, 0x00, 0x23],
                };
                ([der(0x06, EC_PUBLIC_KEY), der(0x06, curve)].concat(), point.clone())
            }
        };
        let bits = [&[0][..], &bits].concat();
        der(0x30, &[der(0x30, &algorithm), der(0x03, &bits)].concat())
    }
}

/// One DER element (X.690 §8.1.3, §10.1).
fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let bytes = content.len().to_be_bytes();
    let length: Vec<u8> = bytes.iter().copied().skip_while(|byte| *byte == 0).collect();
    let mut out = vec![tag];
    match content.len() {
        short @ 0..=127 => out.push(u8::try_from(short).unwrap_or(127)),
        _ => {
            out.push(0x80 | u8::try_from(length.len()).unwrap_or(8));
            out.extend(length);
        }
    }
    out.extend_from_slice(content);
    out
}

/// An INTEGER that is not negative, from its minimal bytes.
fn der_unsigned(bytes: &[u8]) -> Vec<u8> {
    let sign = bytes.first().is_some_and(|byte| *byte >= 0x80);
    der(0x02, &[if sign { &[0][..] } else { &[] }, bytes].concat())
}

fn rsa_parameters(alg: JwtAlg) -> Option<&'static RsaParameters> {
    Some(match alg {
        JwtAlg::Rs256 => &signature::RSA_PKCS1_2048_8192_SHA256,
        JwtAlg::Rs384 => &signature::RSA_PKCS1_2048_8192_SHA384,
        JwtAlg::Rs512 => &signature::RSA_PKCS1_2048_8192_SHA512,
        JwtAlg::Ps256 => &signature::RSA_PSS_2048_8192_SHA256,
        JwtAlg::Ps384 => &signature::RSA_PSS_2048_8192_SHA384,
        JwtAlg::Ps512 => &signature::RSA_PSS_2048_8192_SHA512,
        JwtAlg::Es256 | JwtAlg::Es384 | JwtAlg::Es512 => return None,
    })
}

/// The curve belongs to the algorithm (RFC 7518 §3.4).
fn ecdsa(alg: JwtAlg, curve: Curve) -> Option<&'static EcdsaVerificationAlgorithm> {
    Some(match (alg, curve) {
        (JwtAlg::Es256, Curve::P256) => &signature::ECDSA_P256_SHA256_FIXED,
        (JwtAlg::Es384, Curve::P384) => &signature::ECDSA_P384_SHA384_FIXED,
        (JwtAlg::Es512, Curve::P521) => &signature::ECDSA_P521_SHA512_FIXED,
        _ => return None,
    })
}

fn number(jwk: &Map<String, Value>, name: &str) -> Result<Vec<u8>, JwtKeyError> {
    let text = jwk.get(name).and_then(Value::as_str).ok_or(JwtKeyError::Shape)?;
    Base64UrlUnpadded::decode_vec(text).map_err(|_| JwtKeyError::Shape)
}

/// RFC 7518 §6.3.1: big-endian without leading zeros.
fn rsa(jwk: &Map<String, Value>) -> Result<Material, JwtKeyError> {
    let (n, e) = (number(jwk, "n")?, number(jwk, "e")?);
    let (Some(top), Some(exponent)) = (n.first(), e.first()) else { return Err(JwtKeyError::Shape) };
    if *top == 0 || *exponent == 0 {
        return Err(JwtKeyError::Shape);
    }
    let bits = n.len() * 8 - usize::try_from(top.leading_zeros()).unwrap_or(0);
    let odd = e.last().is_some_and(|byte| byte & 1 == 1);
    // Three bytes whose first is not zero: 65537 at least.
    if !RSA_BITS.contains(&bits) || !(3..=4).contains(&e.len()) || !odd {
        return Err(JwtKeyError::Weak);
    }
    Ok(Material::Rsa { n, e })
}

/// RFC 7518 §6.2.1: coordinates of the curve's full length.
fn ec(jwk: &Map<String, Value>, curve: Curve) -> Result<Material, JwtKeyError> {
    let size = match curve {
        Curve::P256 => 32,
        Curve::P384 => 48,
        Curve::P521 => 66,
    };
    let (x, y) = (number(jwk, "x")?, number(jwk, "y")?);
    if x.len() != size || y.len() != size {
        return Err(JwtKeyError::Shape);
    }
    Ok(Material::Ec(curve, [&[4][..], &x, &y].concat()))
}

#[derive(Debug, Clone)]
struct KeyVerifier {
    alg: JwtAlg,
    key: JwtKey,
}

impl JwsVerifier for KeyVerifier {
    fn algorithm(&self) -> &dyn JwsAlgorithm {
        &self.alg
    }

    fn key_id(&self) -> Option<&str> {
        None
    }

    fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), JoseError> {
        if self.key.verifies(self.alg, message, signature) {
            Ok(())
        } else {
            Err(JoseError::InvalidSignature(anyhow::Error::msg("the signature does not verify")))
        }
    }

    fn box_clone(&self) -> Box<dyn JwsVerifier> {
        Box::new(self.clone())
    }
}

/// The keys of one issuer, each under a name of its own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JwtKeys(Vec<JwtKey>);

impl JwtKeys {
    /// Reads the keys of a set whose `use` is `wanted`. An empty set is none.
    ///
    /// # Errors
    /// As the variants of [`JwtKeyError`] say; one bad key of ours refuses the whole.
    pub fn from_set(set: &Value, wanted: impl Fn(Option<&str>) -> bool) -> Result<Self, JwtKeyError> {
        let all = set.get("keys").and_then(Value::as_array).ok_or(JwtKeyError::Set)?;
        if all.len() > MAX_KEYS {
            return Err(JwtKeyError::Count);
        }
        let mut keys: Vec<JwtKey> = Vec::new();
        for jwk in all {
            let jwk = jwk.as_object().ok_or(JwtKeyError::Set)?;
            let purpose = match jwk.get("use") {
                None => None,
                Some(Value::String(purpose)) => Some(purpose.as_str()),
                Some(_) => return Err(JwtKeyError::Set),
            };
            if !wanted(purpose) {
                continue;
            }
            let Some(key) = JwtKey::from_jwk(jwk)? else { continue };
            if keys.iter().any(|other| other.kid == key.kid) {
                return Err(JwtKeyError::DuplicateKid);
            }
            keys.push(key);
        }
        if keys.is_empty() { Err(JwtKeyError::Count) } else { Ok(Self(keys)) }
    }

    /// Keys that were read one by one; `None` where two have one name.
    pub(in crate::domain) fn of(keys: Vec<JwtKey>) -> Option<Self> {
        let mut names: Vec<_> = keys.iter().map(JwtKey::kid).collect();
        names.sort_unstable();
        let distinct = names.windows(2).all(|pair| matches!(pair, [one, next] if one != next));
        distinct.then_some(Self(keys))
    }

    /// The key of that name.
    pub fn find(&self, kid: &str) -> Option<&JwtKey> {
        self.0.iter().find(|key| key.kid == kid)
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests;
