//! Issuers of tokens: a key, its JWK, and whatever they sign.

use atb::adapters::clock::SystemClock;
use atb::service::ports::Clock as _;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64ct::{Base64UrlUnpadded, Encoding as _};
use serde_json::{Value, json};

/// Somebody with a P-256 key.
pub struct Issuer {
    kid: String,
    pair: EcdsaKeyPair,
}

impl Issuer {
    pub fn new(kid: &str) -> Self {
        Self { kid: kid.to_owned(), pair: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap() }
    }

    /// The public key, for the use that is named.
    pub fn jwk(&self, purpose: &str) -> Value {
        let (x, y) = self.pair.public_key().as_ref()[1..].split_at(32);
        let (x, y) = (Base64UrlUnpadded::encode_string(x), Base64UrlUnpadded::encode_string(y));
        json!({"kty": "EC", "crv": "P-256", "kid": self.kid, "use": purpose, "x": x, "y": y})
    }

    pub fn signs(&self, claims: &Value) -> String {
        self.signs_as(&json!({"alg": "ES256", "kid": self.kid, "typ": "JWT"}), claims)
    }

    /// Under any header.
    pub fn signs_as(&self, header: &Value, claims: &Value) -> String {
        let part = |value: &Value| Base64UrlUnpadded::encode_string(value.to_string().as_bytes());
        let input = format!("{}.{}", part(header), part(claims));
        let signature = self.pair.sign(&SystemRandom::new(), input.as_bytes()).unwrap();
        format!("{input}.{}", Base64UrlUnpadded::encode_string(signature.as_ref()))
    }
}

/// Seconds since the epoch.
pub fn now() -> u64 {
    SystemClock.now().as_secs()
}

/// A JWK set.
pub fn set(keys: &[Value]) -> String {
    json!({ "keys": keys }).to_string()
}
