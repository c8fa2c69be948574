//! The public key of an SVID: what it is, and whether it made a signature.
//!
//! Key types are those of the module [`super`]'s X.509 rules. A mandate's approvals are signed with ES256 (RFC 7518
//! §3.4) or EdDSA (RFC 8037 §3.1); RSA and P-384 keys serve TLS only and never sign a statement.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use ed25519_dalek::{Signature, VerifyingKey};
use x509_parser::oid_registry::{
    OID_EC_P256, OID_KEY_TYPE_EC_PUBLIC_KEY, OID_NIST_EC_P384, OID_PKCS1_RSAENCRYPTION, OID_SIG_ED25519,
};
use x509_parser::public_key::PublicKey;
use x509_parser::x509::SubjectPublicKeyInfo;

/// Length of an uncompressed P-256 point (SEC 1 §2.3.3).
const P256_POINT_BYTES: usize = 65;
/// Length of an uncompressed P-384 point.
const P384_POINT_BYTES: usize = 97;
/// The first byte of an uncompressed point.
const UNCOMPRESSED: u8 = 4;
/// What webpki verifies, and so the sizes of modulus that may appear in a chain.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// The public key of an SVID.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SvidKey {
    /// ECDSA on P-256, an uncompressed point.
    P256([u8; P256_POINT_BYTES]),
    /// Ed25519, not of small order, in its one spelling.
    Ed25519(VerifyingKey),
    /// A key that is good for TLS but not for statements; its name.
    Other(&'static str),
}

/// Why a signature does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// The algorithm is not the one of the key, or not one that we accept.
    #[error("the algorithm does not belong to the key")]
    WrongAlgorithm,
    /// The key did not sign these bytes.
    #[error("the signature is not by this key over this content")]
    Invalid,
}

impl SvidKey {
    /// Checks a JWS signature; `alg` is the header's value and must be the algorithm of this key.
    ///
    /// # Errors
    /// [`SignatureError::WrongAlgorithm`] for any pair but P-256 with `ES256` and Ed25519 with `EdDSA`.
    pub fn verify_jws(&self, alg: &str, message: &[u8], signature: &[u8]) -> Result<(), SignatureError> {
        match (self, alg) {
            (Self::P256(point), "ES256") => UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point)
                .verify(message, signature)
                .map_err(|_| SignatureError::Invalid),
            (Self::Ed25519(key), "EdDSA") => {
                let signature = Signature::from_slice(signature).map_err(|_| SignatureError::Invalid)?;
                key.verify_strict(message, &signature).map_err(|_| SignatureError::Invalid)
            }
            _ => Err(SignatureError::WrongAlgorithm),
        }
    }

    /// What a person calls this type of key.
    pub fn name(&self) -> &'static str {
        match self {
            Self::P256(_) => "EC P-256",
            Self::Ed25519(_) => "Ed25519",
            Self::Other(name) => name,
        }
    }

    /// The key in a certificate, or `None` when its type, size or encoding is not allowed.
    pub(super) fn of(info: &SubjectPublicKeyInfo<'_>) -> Option<Self> {
        let bytes: &[u8] = &info.subject_public_key.data;
        let algorithm = &info.algorithm.algorithm;
        if *algorithm == OID_KEY_TYPE_EC_PUBLIC_KEY {
            let curve = info.algorithm.parameters.as_ref()?.as_oid().ok()?;
            let uncompressed = bytes.first() == Some(&UNCOMPRESSED);
            if curve == OID_EC_P256 && uncompressed {
                return bytes.try_into().ok().map(Self::P256);
            }
            let p384 = curve == OID_NIST_EC_P384 && uncompressed && bytes.len() == P384_POINT_BYTES;
            return p384.then_some(Self::Other("EC P-384"));
        }
        if *algorithm == OID_SIG_ED25519 && info.algorithm.parameters.is_none() {
            let key = VerifyingKey::from_bytes(bytes.try_into().ok()?).ok()?;
            let canonical = key.to_edwards().compress().as_bytes() == key.as_bytes();
            return (canonical && !key.is_weak()).then_some(Self::Ed25519(key));
        }
        if *algorithm == OID_PKCS1_RSAENCRYPTION
            && let Ok(PublicKey::RSA(rsa)) = info.parsed()
        {
            return RSA_BITS.contains(&rsa.key_size()).then_some(Self::Other("RSA"));
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
    use ed25519_dalek::{Signer, SigningKey};

    use super::*;

    fn p256() -> (EcdsaKeyPair, SvidKey) {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let point = pair.public_key().as_ref().try_into().unwrap();
        (pair, SvidKey::P256(point))
    }

    #[test]
    fn a_signature_counts_only_by_its_own_key_over_its_own_message() {
        let (pair, key) = p256();
        let signature = pair.sign(&SystemRandom::new(), b"message").unwrap();
        assert_eq!(key.verify_jws("ES256", b"message", signature.as_ref()), Ok(()));
        assert_eq!(key.verify_jws("ES256", b"messagf", signature.as_ref()), Err(SignatureError::Invalid));
        assert_eq!(p256().1.verify_jws("ES256", b"message", signature.as_ref()), Err(SignatureError::Invalid));

        let pair = SigningKey::from_bytes(&[7; 32]);
        let key = SvidKey::Ed25519(pair.verifying_key());
        let signature = pair.sign(b"message").to_bytes();
        assert_eq!(key.verify_jws("EdDSA", b"message", &signature), Ok(()));
        assert_eq!(key.verify_jws("EdDSA", b"messagf", &signature), Err(SignatureError::Invalid));
        assert_eq!(key.verify_jws("EdDSA", b"message", signature.get(1..).unwrap()), Err(SignatureError::Invalid));
    }

    #[test]
    fn the_algorithm_is_the_one_of_the_key() {
        let (pair, key) = p256();
        let signature = pair.sign(&SystemRandom::new(), b"m").unwrap();
        for alg in ["EdDSA", "ES384", "es256", "none", "HS256", ""] {
            assert_eq!(key.verify_jws(alg, b"m", signature.as_ref()), Err(SignatureError::WrongAlgorithm), "{alg}");
        }
        assert_eq!(SvidKey::Other("RSA").verify_jws("RS256", b"m", b"s"), Err(SignatureError::WrongAlgorithm));
    }

    #[test]
    fn a_der_signature_is_not_a_jws_signature() {
        let (_, key) = p256();
        assert_eq!(key.verify_jws("ES256", b"m", &[0x30, 0x06, 2, 1, 1, 2, 1, 1]), Err(SignatureError::Invalid));
    }
}
