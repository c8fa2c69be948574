//! The keys that sign JWT-SVIDs, by trust domain and key id (SPIFFE JWT-SVID §3, Trust Domain and Bundle §4.2.2).
//!
//! A JWT-SVID is verified with a key of *its own* trust domain only, under the `kid` of its header. Which tokens are
//! believed for what, and for how long, is not decided here. Only signatures that JWT-SVIDs may have (§2.2) and that
//! are strong enough exist: EdDSA is none of them, and P-521 is left out.

use std::collections::BTreeMap;
use std::fmt;

use aws_lc_rs::signature::{
    self, ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey,
};

use super::document::{self, DocumentError};
use super::jwk::PublicJwk;
use super::{SignatureError, TrustDomain};

/// The keys of every trust domain that we know.
#[derive(Debug, Clone, Default)]
pub struct JwtBundles {
    by_domain: BTreeMap<TrustDomain, JwtBundle>,
}

impl JwtBundles {
    /// These bundles; a later one of the same domain replaces an earlier one.
    pub fn new(bundles: impl IntoIterator<Item = JwtBundle>) -> Self {
        Self { by_domain: bundles.into_iter().map(|bundle| (bundle.domain.clone(), bundle)).collect() }
    }

    /// The keys of one domain.
    pub fn bundle(&self, domain: &TrustDomain) -> Option<&JwtBundle> {
        self.by_domain.get(domain)
    }

    /// One key of one domain.
    pub fn key(&self, domain: &TrustDomain, kid: &str) -> Option<&JwtKey> {
        self.bundle(domain)?.key(kid)
    }
}

/// The keys of one trust domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JwtBundle {
    domain: TrustDomain,
    keys: BTreeMap<String, JwtKey>,
}

impl JwtBundle {
    /// Reads a SPIFFE bundle: its keys of `use` `jwt-svid`; others are not for this.
    ///
    /// # Errors
    /// As [`super::BundleDocument::parse`].
    pub fn parse(domain: TrustDomain, jwks: &[u8]) -> Result<Self, DocumentError> {
        document::BundleDocument::parse(domain, jwks).map(|document| document.jwt)
    }

    /// From the keys that a Workload API hands out, each a JWK; `use` may be missing there.
    ///
    /// # Errors
    /// When one is broken.
    pub fn of_keys<'k>(domain: TrustDomain, keys: impl IntoIterator<Item = &'k [u8]>) -> Result<Self, DocumentError> {
        document::jwt_keys(keys).map(|keys| Self { domain, keys })
    }

    pub(super) fn new(domain: TrustDomain, keys: BTreeMap<String, JwtKey>) -> Self {
        Self { domain, keys }
    }

    /// The trust domain.
    pub fn domain(&self) -> &TrustDomain {
        &self.domain
    }

    /// The key of this id.
    pub fn key(&self, kid: &str) -> Option<&JwtKey> {
        self.keys.get(kid)
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}

/// A key that signs JWT-SVIDs.
#[derive(Clone, PartialEq, Eq)]
pub struct JwtKey(PublicJwk);

impl JwtKey {
    /// The key, unless JWT-SVIDs may not be signed with its kind.
    pub(super) fn of(key: PublicJwk) -> Option<Self> {
        (!matches!(key, PublicJwk::Ed25519(_))).then_some(Self(key))
    }

    /// Checks a JWS signature; `alg` is the header's value and must be an algorithm of this key.
    ///
    /// # Errors
    /// [`SignatureError::WrongAlgorithm`] for any pair but P-256 with `ES256`, P-384 with `ES384`, RSA with `RS…` and
    /// `PS…`.
    pub fn verify(&self, alg: &str, message: &[u8], signature: &[u8]) -> Result<(), SignatureError> {
        let verified = match (&self.0, alg) {
            (PublicJwk::P256(point), "ES256") => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(message, signature)
            }
            (PublicJwk::P384(point), "ES384") => {
                UnparsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, point).verify(message, signature)
            }
            (PublicJwk::Rsa { n, e }, alg) => {
                let parameters = rsa(alg).ok_or(SignatureError::WrongAlgorithm)?;
                RsaPublicKeyComponents { n, e }.verify(parameters, message, signature)
            }
            _ => return Err(SignatureError::WrongAlgorithm),
        };
        verified.map_err(|_| SignatureError::Invalid)
    }

    /// Whether `alg` is an algorithm of this key.
    pub fn takes(&self, alg: &str) -> bool {
        match &self.0 {
            PublicJwk::P256(_) => alg == "ES256",
            PublicJwk::P384(_) => alg == "ES384",
            PublicJwk::Rsa { .. } => rsa(alg).is_some(),
            PublicJwk::Ed25519(_) => false,
        }
    }
}

impl fmt::Debug for JwtKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            PublicJwk::P256(_) => "EC P-256",
            PublicJwk::P384(_) => "EC P-384",
            PublicJwk::Rsa { .. } => "RSA",
            PublicJwk::Ed25519(_) => "Ed25519",
        })
    }
}

fn rsa(alg: &str) -> Option<&'static RsaParameters> {
    Some(match alg {
        "RS256" => &signature::RSA_PKCS1_2048_8192_SHA256,
        "RS384" => &signature::RSA_PKCS1_2048_8192_SHA384,
        "RS512" => &signature::RSA_PKCS1_2048_8192_SHA512,
        "PS256" => &signature::RSA_PSS_2048_8192_SHA256,
        "PS384" => &signature::RSA_PSS_2048_8192_SHA384,
        "PS512" => &signature::RSA_PSS_2048_8192_SHA512,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
    use base64ct::{Base64UrlUnpadded, Encoding as _};

    use super::*;

    fn pair() -> (EcdsaKeyPair, String) {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let point = pair.public_key().as_ref();
        let part = |range| Base64UrlUnpadded::encode_string(point.get(range).unwrap());
        let jwk = format!(
            r#"{{"kty":"EC","use":"jwt-svid","kid":"k1","crv":"P-256","x":"{}","y":"{}"}}"#,
            part(1..33),
            part(33..65)
        );
        (pair, jwk)
    }

    #[test]
    fn a_token_verifies_with_the_key_of_its_own_domain_and_id_and_with_no_other() {
        let ((ours, jwk), (_, other)) = (pair(), pair());
        let bundle = |domain: &str, jwk: &str| {
            JwtBundle::parse(domain.parse().unwrap(), format!(r#"{{"keys":[{jwk}]}}"#).as_bytes()).unwrap()
        };
        let bundles = JwtBundles::new([bundle("a.example", &jwk), bundle("b.example", &other)]);
        let signature = ours.sign(&SystemRandom::new(), b"message").unwrap();
        let verify = |domain: &str, kid: &str, alg: &str| {
            let key = bundles.key(&domain.parse().unwrap(), kid)?;
            Some(key.verify(alg, b"message", signature.as_ref()))
        };
        assert_eq!(verify("a.example", "k1", "ES256"), Some(Ok(())));
        assert_eq!(verify("b.example", "k1", "ES256"), Some(Err(SignatureError::Invalid)));
        assert_eq!(verify("a.example", "k2", "ES256"), None);
        assert_eq!(verify("c.example", "k1", "ES256"), None);
        for alg in ["ES384", "RS256", "HS256", "none", "es256", ""] {
            assert_eq!(verify("a.example", "k1", alg), Some(Err(SignatureError::WrongAlgorithm)), "{alg}");
        }
    }
}
