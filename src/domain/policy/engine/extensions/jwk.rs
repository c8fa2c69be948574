//! Public keys as OPA's `io.jwt` takes them: one certificate or public key in PEM, or JSON Web Keys (RFC 7517).

use aws_lc_rs::hmac;
use aws_lc_rs::rsa::PublicKeyComponents;
use aws_lc_rs::signature::{self as sig, EcdsaVerificationAlgorithm, RsaParameters, UnparsedPublicKey};
use ed25519_dalek::{Signature, VerifyingKey};
use serde_json::Value;
use x509_parser::oid_registry::{
    OID_EC_P256, OID_KEY_TYPE_EC_PUBLIC_KEY, OID_NIST_EC_P384, OID_NIST_EC_P521, OID_PKCS1_RSAENCRYPTION,
    OID_SIG_ED25519,
};
use x509_parser::prelude::FromDer as _;
use x509_parser::public_key::PublicKey;
use x509_parser::x509::SubjectPublicKeyInfo;

const MAX_KEYS: usize = 64;
const ALGORITHMS: [&str; 13] = [
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "HS256", "HS384", "HS512", "EdDSA",
];

/// What keys are for besides signatures, or by algorithms that OPA leaves out (RFC 7518, RFC 8812).
const OTHERS: [&str; 12] = [
    "ES256K",
    "RSA1_5",
    "RSA-OAEP",
    "RSA-OAEP-256",
    "A128KW",
    "A192KW",
    "A256KW",
    "dir",
    "ECDH-ES",
    "ECDH-ES+A128KW",
    "ECDH-ES+A192KW",
    "ECDH-ES+A256KW",
];

/// A key and what its owner says about it.
pub(super) struct Key {
    /// Empty: none is said.
    pub(super) algorithm: String,
    /// Empty: none is said.
    pub(super) id: String,
    material: Material,
}

enum Material {
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
    },
    /// The curve and the uncompressed point.
    Ec(Curve, Vec<u8>),
    Ed25519(VerifyingKey),
    Secret(Vec<u8>),
    /// A kind that none of the algorithms uses.
    Other,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Curve {
    P256,
    P384,
    P521,
}

impl Key {
    /// Whether the key made the signature; a key of another kind did not.
    pub(super) fn verifies(&self, algorithm: &str, message: &[u8], signature: &[u8]) -> bool {
        match (&self.material, algorithm) {
            (Material::Rsa { n, e }, _) => rsa(algorithm)
                .is_some_and(|parameters| PublicKeyComponents { n, e }.verify(parameters, message, signature).is_ok()),
            (Material::Ec(curve, point), _) => ecdsa(algorithm, *curve)
                .is_some_and(|ec| UnparsedPublicKey::new(ec, point).verify(message, signature).is_ok()),
            // Strict: a small-order key verifies forged signatures otherwise.
            (Material::Ed25519(key), "EdDSA") => {
                Signature::from_slice(signature).is_ok_and(|signature| key.verify_strict(message, &signature).is_ok())
            }
            (Material::Secret(secret), _) => verify_hmac(algorithm, secret, message, signature),
            (Material::Ed25519(_) | Material::Other, _) => false,
        }
    }

    fn of(material: Material) -> Self {
        Self { algorithm: String::new(), id: String::new(), material }
    }
}

/// HMAC under `HS…`; false under any other algorithm.
pub(super) fn verify_hmac(algorithm: &str, secret: &[u8], message: &[u8], tag: &[u8]) -> bool {
    let algorithm = match algorithm {
        "HS256" => hmac::HMAC_SHA256,
        "HS384" => hmac::HMAC_SHA384,
        "HS512" => hmac::HMAC_SHA512,
        _ => return false,
    };
    hmac::verify(&hmac::Key::new(algorithm, secret), message, tag).is_ok()
}

fn rsa(algorithm: &str) -> Option<&'static RsaParameters> {
    Some(match algorithm {
        "RS256" => &sig::RSA_PKCS1_2048_8192_SHA256,
        "RS384" => &sig::RSA_PKCS1_2048_8192_SHA384,
        "RS512" => &sig::RSA_PKCS1_2048_8192_SHA512,
        "PS256" => &sig::RSA_PSS_2048_8192_SHA256,
        "PS384" => &sig::RSA_PSS_2048_8192_SHA384,
        "PS512" => &sig::RSA_PSS_2048_8192_SHA512,
        _ => return None,
    })
}

/// The curve belongs to the algorithm (RFC 7518 §3.4).
fn ecdsa(algorithm: &str, curve: Curve) -> Option<&'static EcdsaVerificationAlgorithm> {
    Some(match (algorithm, curve) {
        ("ES256", Curve::P256) => &sig::ECDSA_P256_SHA256_FIXED,
        ("ES384", Curve::P384) => &sig::ECDSA_P384_SHA384_FIXED,
        ("ES512", Curve::P521) => &sig::ECDSA_P521_SHA512_FIXED,
        _ => return None,
    })
}

/// Reads the key or keys; none if the text is neither.
pub(super) fn read(text: &str) -> Option<Vec<Key>> {
    if text.trim_start().starts_with("-----BEGIN") { pem(text).map(|key| vec![key]) } else { json(text) }
}

fn pem(text: &str) -> Option<Key> {
    let (rest, pem) = x509_parser::pem::parse_x509_pem(text.as_bytes()).ok()?;
    if !rest.is_empty() {
        return None;
    }
    match pem.label.as_str() {
        "CERTIFICATE" => {
            let (rest, certificate) = x509_parser::parse_x509_certificate(&pem.contents).ok()?;
            rest.is_empty().then(|| public_key(certificate.public_key()))?
        }
        "PUBLIC KEY" => {
            let (rest, key) = SubjectPublicKeyInfo::from_der(&pem.contents).ok()?;
            rest.is_empty().then(|| public_key(&key))?
        }
        _ => None,
    }
}

fn public_key(info: &SubjectPublicKeyInfo<'_>) -> Option<Key> {
    let algorithm = &info.algorithm.algorithm;
    let bits = info.subject_public_key.data.as_ref();
    let material = if *algorithm == OID_PKCS1_RSAENCRYPTION {
        match info.parsed().ok()? {
            PublicKey::RSA(key) => Material::Rsa { n: stripped(key.modulus), e: stripped(key.exponent) },
            _ => return None,
        }
    } else if *algorithm == OID_KEY_TYPE_EC_PUBLIC_KEY {
        let curve = info.algorithm.parameters.as_ref()?.as_oid().ok()?;
        let known = [(OID_EC_P256, Curve::P256), (OID_NIST_EC_P384, Curve::P384), (OID_NIST_EC_P521, Curve::P521)];
        match known.iter().find(|(oid, _)| *oid == curve) {
            Some((_, curve)) => Material::Ec(*curve, bits.to_vec()),
            None => Material::Other,
        }
    } else if *algorithm == OID_SIG_ED25519 {
        Material::Ed25519(VerifyingKey::from_bytes(bits.try_into().ok()?).ok()?)
    } else {
        Material::Other
    };
    Some(Key::of(material))
}

fn stripped(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().copied().skip_while(|b| *b == 0).collect()
}

fn json(text: &str) -> Option<Vec<Key>> {
    let value = crate::domain::json::parse(text.as_bytes()).ok()?;
    let keys = match value.get("keys") {
        Some(Value::Array(keys)) if keys.len() <= MAX_KEYS => keys.iter().map(jwk).collect::<Option<Vec<_>>>()?,
        Some(_) => return None,
        None => vec![jwk(&value)?],
    };
    let listed = |key: &Key, list: &[&str]| list.contains(&key.algorithm.as_str());
    let known = |key: &Key| key.algorithm.is_empty() || listed(key, &ALGORITHMS);
    let sound = keys.iter().all(|key| known(key) || listed(key, &OTHERS));
    sound.then(|| keys.into_iter().filter(known).collect())
}

fn jwk(value: &Value) -> Option<Key> {
    let said = |name: &str| match value.get(name) {
        None => Some(String::new()),
        Some(Value::String(text)) => Some(text.clone()),
        Some(_) => None,
    };
    let bytes = |name: &str| super::jwt::base64url(value.get(name)?.as_str()?);
    // A private key is no key to verify with.
    let private = value.get("d").is_some();
    let material = match value.get("kty")?.as_str()? {
        _ if private => Material::Other,
        "RSA" => Material::Rsa { n: stripped(&bytes("n")?), e: stripped(&bytes("e")?) },
        "oct" => Material::Secret(bytes("k")?),
        "EC" => {
            let (curve, size) = match value.get("crv")?.as_str()? {
                "P-256" => (Curve::P256, 32),
                "P-384" => (Curve::P384, 48),
                "P-521" => (Curve::P521, 66),
                _ => return None,
            };
            let (x, y) = (stripped(&bytes("x")?), stripped(&bytes("y")?));
            if x.len() > size || y.len() > size {
                return None;
            }
            let mut point = vec![4];
            for coordinate in [x, y] {
                point.extend(std::iter::repeat_n(0, size - coordinate.len()));
                point.extend(coordinate);
            }
            Material::Ec(curve, point)
        }
        "OKP" if value.get("crv")?.as_str()? == "Ed25519" => {
            Material::Ed25519(VerifyingKey::from_bytes(bytes("x")?.as_slice().try_into().ok()?).ok()?)
        }
        "OKP" => Material::Other,
        _ => return None,
    };
    Some(Key { algorithm: said("alg")?, id: said("kid")?, material })
}
