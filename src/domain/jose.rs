//! JWS compact serialisation (RFC 7515 §3.1), strict.
//!
//! josekit assembles and takes apart the envelope through its signer and verifier traits; this module decides what may
//! be in it: three segments of canonical base64url, a header with exactly the members of its type, `EdDSA` (RFC 8037
//! §3.1) or, for statements, `ES256` (RFC 7518 §3.4). Not here: JWKs other than Ed25519, encryption, detached payloads.

use base64ct::{Base64UrlUnpadded, Encoding};
use ed25519_dalek::{Signature, VerifyingKey};
use josekit::JoseError;
use josekit::jws::{JwsAlgorithm, JwsHeader, JwsSigner, JwsVerifier};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::id::{KeyId, Sha256Digest};
use super::json::{self, Object};

/// Why a text is not a JWS that we take.
#[derive(Debug, thiserror::Error)]
pub enum JwsError {
    /// Longer than its kind may be.
    #[error("the token is longer than {0} bytes")]
    TooLong(usize),
    /// Not three segments of base64url without padding, in its only spelling.
    #[error("the token is not three segments of canonical base64url")]
    Envelope,
    /// A header with foreign, missing, repeated or wrong members.
    #[error("the token's header is not the one of its type")]
    Header,
    /// A payload with foreign, missing, repeated or wrong members.
    #[error("the token's claims are not those of its type: {0}")]
    Claims(String),
    /// The signature does not verify.
    #[error("the token's signature does not verify")]
    Signature,
}

/// A compact JWS whose header and payload have the right shape and whose signature was **not** checked.
#[derive(Debug, Clone)]
pub struct UnverifiedJws<H, P> {
    jws: String,
    /// The protected header.
    pub header: H,
    /// The payload; not to be believed before [`UnverifiedJws::verify`].
    pub unverified_payload: P,
}

impl<H: DeserializeOwned, P: DeserializeOwned> UnverifiedJws<H, P> {
    /// Takes a compact JWS of at most `max_len` bytes apart.
    ///
    /// # Errors
    /// When the envelope, the header or the payload is not what its types say.
    pub fn parse(jws: &str, max_len: usize) -> Result<Self, JwsError> {
        if jws.len() > max_len {
            return Err(JwsError::TooLong(max_len));
        }
        let mut segments = jws.split('.');
        let (Some(header), Some(payload), Some(signature), None) =
            (segments.next(), segments.next(), segments.next(), segments.next())
        else {
            return Err(JwsError::Envelope);
        };
        decode(signature)?;
        let header = json::from_slice(&decode(header)?).map_err(|_| JwsError::Header)?;
        let unverified_payload =
            json::from_slice(&decode(payload)?).map_err(|error| JwsError::Claims(shape(&error)))?;
        Ok(Self { jws: jws.to_owned(), header, unverified_payload })
    }
}

impl<H, P> UnverifiedJws<H, P> {
    /// Checks the signature over the bytes that were parsed and hands out the payload.
    ///
    /// # Errors
    /// When the signature does not verify.
    pub fn verify(self, verifier: &dyn JwsVerifier) -> Result<(H, P), JwsError> {
        josekit::jws::deserialize_compact(&self.jws, verifier).map_err(|_| JwsError::Signature)?;
        Ok((self.header, self.unverified_payload))
    }

    /// The token as it came.
    pub fn as_str(&self) -> &str {
        &self.jws
    }
}

/// Writes a compact JWS.
///
/// # Errors
/// When the signer fails.
pub fn sign(header: &JwsHeader, payload: &[u8], signer: &dyn JwsSigner) -> Result<String, JwsError> {
    josekit::jws::serialize_compact(payload, header, signer).map_err(|_| JwsError::Signature)
}

fn decode(segment: &str) -> Result<Vec<u8>, JwsError> {
    Base64UrlUnpadded::decode_vec(segment).map_err(|_| JwsError::Envelope)
}

/// serde's message without the position and without the values, which are somebody's data.
fn shape(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let text = text.rsplit_once(" at line ").map_or(text.as_str(), |(message, _)| message);
    match error.classify() {
        serde_json::error::Category::Data if text.starts_with("unknown field") || text.starts_with("missing field") => {
            text.chars().take(80).collect()
        }
        serde_json::error::Category::Data if text.starts_with("duplicate") => "a duplicate member".to_owned(),
        serde_json::error::Category::Data => "a member of the wrong type or form".to_owned(),
        _ => "not one JSON object".to_owned(),
    }
}

/// A member that is absent or has a value: `null` is neither.
pub fn present<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de>,
{
    T::deserialize(deserializer).map(Some)
}

/// The signature algorithms that exist here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Alg {
    /// Ed25519 (RFC 8037 §3.1).
    #[serde(rename = "EdDSA")]
    EdDsa,
    /// ECDSA over P-256 with SHA-256 (RFC 7518 §3.4); statements only.
    #[serde(rename = "ES256")]
    Es256,
}

impl Alg {
    /// The `alg` value.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::EdDsa => "EdDSA",
            Self::Es256 => "ES256",
        }
    }
}

impl JwsAlgorithm for Alg {
    fn name(&self) -> &str {
        self.as_str()
    }

    fn box_clone(&self) -> Box<dyn JwsAlgorithm> {
        Box::new(*self)
    }
}

/// josekit's verifier over any check of `(message, signature)`, so that josekit reads the envelope and never judges.
#[derive(Clone)]
pub struct Verifier<F> {
    alg: Alg,
    check: F,
}

impl<F> Verifier<F> {
    /// A verifier for `alg` that asks `check`.
    pub fn new(alg: Alg, check: F) -> Self {
        Self { alg, check }
    }
}

impl<F> std::fmt::Debug for Verifier<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Verifier({})", self.alg.as_str())
    }
}

impl<F> JwsVerifier for Verifier<F>
where
    F: Fn(&[u8], &[u8]) -> bool + Clone + Send + Sync + 'static,
{
    fn algorithm(&self) -> &dyn JwsAlgorithm {
        &self.alg
    }

    fn key_id(&self) -> Option<&str> {
        None
    }

    fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), JoseError> {
        if (self.check)(message, signature) {
            Ok(())
        } else {
            Err(JoseError::InvalidSignature(anyhow::Error::msg("the signature does not verify")))
        }
    }

    fn box_clone(&self) -> Box<dyn JwsVerifier> {
        Box::new(self.clone())
    }
}

/// An Ed25519 public key that mandates are verified with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MandateKey {
    key: VerifyingKey,
    kid: KeyId,
}

impl MandateKey {
    /// A key under its RFC 7638 thumbprint.
    ///
    /// # Errors
    /// When the point has small order, with which forged signatures pass a plain check, or is not in its one spelling
    /// (RFC 8032 §5.1.3), so that one key could go by two thumbprints.
    pub fn new(key: VerifyingKey) -> Result<Self, JwkError> {
        if key.is_weak() {
            return Err(JwkError::Weak);
        }
        if key.to_edwards().compress().as_bytes() != key.as_bytes() {
            return Err(JwkError::Shape);
        }
        let kid = thumbprint(&key).parse().map_err(|_| JwkError::Shape)?;
        Ok(Self { key, kid })
    }

    /// The thumbprint.
    pub fn kid(&self) -> &KeyId {
        &self.kid
    }

    /// `verify_strict` (RFC 8032 §5.1.7 without its laxities).
    pub fn verifier(&self) -> Verifier<impl Fn(&[u8], &[u8]) -> bool + Clone + Send + Sync + use<>> {
        let key = self.key;
        Verifier::new(Alg::EdDsa, move |message: &[u8], signature: &[u8]| {
            Signature::from_slice(signature).is_ok_and(|signature| key.verify_strict(message, &signature).is_ok())
        })
    }

    /// The public JWK (RFC 8037 §2).
    pub fn to_jwk(&self) -> serde_json::Value {
        serde_json::json!({
            "kty": "OKP", "crv": "Ed25519", "x": Base64UrlUnpadded::encode_string(self.key.as_bytes()),
            "use": "sig", "alg": "EdDSA", "kid": self.kid,
        })
    }
}

/// RFC 7638 §3 thumbprint of an Ed25519 key (RFC 8037 §2: members `crv`, `kty`, `x`).
fn thumbprint(key: &VerifyingKey) -> String {
    let x = Base64UrlUnpadded::encode_string(key.as_bytes());
    let canonical = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
    Base64UrlUnpadded::encode_string(Sha256Digest::of(canonical.as_bytes()).as_bytes())
}

/// Why a JWK set cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JwkError {
    /// Not a set of Ed25519 public keys.
    #[error("expected a JWK set of Ed25519 public keys (`kty` OKP, `crv` Ed25519, `x`)")]
    Shape,
    /// A point of small order.
    #[error("the key is a point of small order")]
    Weak,
    /// A `kid` that is not the key's thumbprint.
    #[error("the `kid` is not the RFC 7638 thumbprint of the key")]
    Kid,
    /// No key, or more than 32.
    #[error("expected 1 to 32 keys")]
    Count,
}

/// The keys of AgentAuth, by thumbprint.
#[derive(Debug, Clone, Default)]
pub struct MandateKeys(Vec<MandateKey>);

impl MandateKeys {
    /// These keys.
    pub fn new(keys: Vec<MandateKey>) -> Self {
        Self(keys)
    }

    /// The key that `kid` names.
    pub fn find(&self, kid: &KeyId) -> Option<&MandateKey> {
        self.0.iter().find(|key| key.kid == *kid)
    }

    /// The JWK set (RFC 7517 §5).
    pub fn to_jwks(&self) -> serde_json::Value {
        serde_json::json!({ "keys": self.0.iter().map(MandateKey::to_jwk).collect::<Vec<_>>() })
    }

    /// Reads a JWK set; a key that is not an Ed25519 verification key under its own thumbprint refuses the whole.
    ///
    /// # Errors
    /// As the variants of [`JwkError`] say.
    pub fn from_jwks(set: &Object) -> Result<Self, JwkError> {
        let keys = set.as_map().get("keys").and_then(serde_json::Value::as_array).ok_or(JwkError::Shape)?;
        if !(1..=32).contains(&keys.len()) {
            return Err(JwkError::Count);
        }
        keys.iter().map(jwk).collect::<Result<Vec<_>, _>>().map(Self)
    }
}

fn jwk(value: &serde_json::Value) -> Result<MandateKey, JwkError> {
    #[derive(Deserialize)]
    struct Jwk {
        kty: String,
        crv: String,
        x: String,
        kid: String,
        d: Option<serde::de::IgnoredAny>,
    }
    let jwk: Jwk = json::read(value.clone()).map_err(|_| JwkError::Shape)?;
    if jwk.kty != "OKP" || jwk.crv != "Ed25519" || jwk.d.is_some() {
        return Err(JwkError::Shape);
    }
    let x = Base64UrlUnpadded::decode_vec(&jwk.x).map_err(|_| JwkError::Shape)?;
    let x: [u8; 32] = x.try_into().map_err(|_| JwkError::Shape)?;
    let key = MandateKey::new(VerifyingKey::from_bytes(&x).map_err(|_| JwkError::Shape)?)?;
    if key.kid.as_str() != jwk.kid {
        return Err(JwkError::Kid);
    }
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The public key of RFC 8037 appendix A.2 and its thumbprint of appendix A.3.
    #[test]
    fn a_key_is_named_by_its_rfc_7638_thumbprint() {
        let x = Base64UrlUnpadded::decode_vec("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo").unwrap();
        let key = VerifyingKey::from_bytes(&x.try_into().unwrap()).unwrap();
        assert_eq!(MandateKey::new(key).unwrap().kid().as_str(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    }

    #[test]
    fn a_point_of_small_order_is_no_key() {
        let mut identity = [0_u8; 32];
        identity[0] = 1;
        assert_eq!(MandateKey::new(VerifyingKey::from_bytes(&identity).unwrap()), Err(JwkError::Weak));
    }

    #[test]
    fn a_jwk_set_holds_only_public_ed25519_keys_under_their_thumbprint() {
        let key = serde_json::json!({"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
            "kid":"kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"});
        let read = |key: serde_json::Value| {
            let set: Object = serde_json::from_value(serde_json::json!({ "keys": [key] })).unwrap();
            MandateKeys::from_jwks(&set).map(|_| ())
        };
        assert_eq!(read(key.clone()), Ok(()));
        let members = ["kty", "crv", "x", "kid"].map(|name| key[name].clone());
        assert_eq!(
            read(serde_json::json!([members[0], members[1], members[2], members[3], null])),
            Err(JwkError::Shape)
        );
        for (member, value, error) in [
            ("kid", "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4l", JwkError::Kid),
            ("kty", "RSA", JwkError::Shape),
            ("crv", "X25519", JwkError::Shape),
            ("d", "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A", JwkError::Shape),
            ("x", "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURp", JwkError::Shape),
        ] {
            let mut bad = key.clone();
            bad[member] = value.into();
            assert_eq!(read(bad), Err(error), "{member}");
        }
    }
}
