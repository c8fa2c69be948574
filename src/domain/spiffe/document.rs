//! A SPIFFE bundle as its endpoint publishes it (SPIFFE Trust Domain and Bundle §4: a JWK set with
//! `spiffe_sequence` and `spiffe_refresh_hint`).
//!
//! Read as strictly as the standard lets: no duplicate members, no foreign types, one certificate an entry whose key is
//! the entry's, a key id on every JWT key and none twice. What the standard says to ignore is ignored: entries of an
//! unknown `use` or key type, unknown members. An entry that is broken refuses the whole document, so that half a bundle
//! is never in force. Integers above 2^53 - 1 are refused with it, as everywhere here (I-JSON).

use std::time::Duration;

use base64ct::{Base64, Encoding as _};
use rustls_pki_types::CertificateDer;
use serde::Deserialize;
use serde_json::Value;
use x509_parser::parse_x509_certificate;

use super::jwk::RawJwk;
use super::jwt_bundle::JwtBundle;
use super::{BundleError, TrustBundle, TrustDomain};
use crate::domain::id::Sha256Digest;
use crate::domain::json::{self, JsonError};
use crate::domain::jwt::{JwtKey, JwtKeyError, JwtKeys};

/// The largest document.
pub const MAX_DOCUMENT_BYTES: usize = 512 * 1024;
/// The most entries of one document, of every kind.
const MAX_KEYS: usize = 128;

/// What one trust domain says of itself.
#[derive(Debug, Clone)]
pub struct BundleDocument {
    /// Its X.509 authorities; absent where it issues no X.509-SVIDs.
    pub x509: Option<TrustBundle>,
    /// Its JWT keys, maybe none.
    pub jwt: JwtBundle,
    /// Rises with every change of the bundle (§4.1.1); some publishers leave it out.
    pub sequence: Option<u64>,
    /// How often it wants to be asked (§4.1.2).
    pub refresh_hint: Option<Duration>,
    /// Of its keys, in whatever order they stand.
    pub keys_digest: Sha256Digest,
}

/// Why a document was refused, whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    /// More than 512 KiB.
    #[error("the bundle is larger than {MAX_DOCUMENT_BYTES} bytes")]
    TooLarge,
    /// Not strict JSON, or not a JWK set.
    #[error("the bundle is not a SPIFFE bundle document: {0}")]
    Json(#[from] JsonError),
    /// More than 128 entries.
    #[error("the bundle has more than {MAX_KEYS} keys")]
    TooMany,
    /// No entry that is of any use.
    #[error("the bundle has no key for X.509-SVIDs or JWT-SVIDs")]
    Empty,
    /// Private or symmetric key material.
    #[error("key {0} of the bundle is a private key: its owner has lost it")]
    PrivateKey(usize),
    /// A key that is broken or too weak.
    #[error("key {0} of the bundle is malformed or too weak")]
    Key(usize),
    /// Not exactly one certificate, or that of another key.
    #[error("key {0} of the bundle does not have exactly one certificate of its own key")]
    Certificate(usize),
    /// A JWT key without an id, with a long one, or with one that another has.
    #[error("key {0} of the bundle has no key id of its own")]
    KeyId(usize),
    /// The certificates are not authorities of this trust domain.
    #[error(transparent)]
    Authorities(#[from] BundleError),
}

impl DocumentError {
    /// The stable name of this defect.
    pub fn code(&self) -> &'static str {
        match self {
            Self::TooLarge => "bundle_too_large",
            Self::Json(_) => "bundle_not_a_document",
            Self::TooMany => "bundle_too_many",
            Self::Empty => "bundle_empty",
            Self::PrivateKey(_) => "bundle_with_a_private_key",
            Self::Key(_) => "bundle_key_refused",
            Self::Certificate(_) => "bundle_certificate_refused",
            Self::KeyId(_) => "bundle_key_id_refused",
            Self::Authorities(error) => error.code(),
        }
    }
}

#[derive(Deserialize)]
struct RawDocument {
    keys: Vec<Value>,
    #[serde(default)]
    spiffe_sequence: Option<u64>,
    #[serde(default)]
    spiffe_refresh_hint: Option<u64>,
}

impl BundleDocument {
    /// Reads the document of `domain`. Validity of certificates is not looked at: it depends on the time.
    ///
    /// # Errors
    /// The first defect found.
    pub fn parse(domain: TrustDomain, bytes: &[u8]) -> Result<Self, DocumentError> {
        if bytes.len() > MAX_DOCUMENT_BYTES {
            return Err(DocumentError::TooLarge);
        }
        let raw: RawDocument = json::parse_as(bytes)?;
        if raw.keys.len() > MAX_KEYS {
            return Err(DocumentError::TooMany);
        }
        let mut canonical: Vec<_> = raw.keys.iter().map(json::canonical).collect();
        canonical.sort();
        let keys_digest = Sha256Digest::of(&canonical.join(&b'\n'));
        let (mut authorities, mut jwt_keys) = (Vec::new(), Vec::new());
        for (position, value) in (1..).zip(raw.keys) {
            let jwk: RawJwk = json::read(value.clone())?;
            match jwk.usage.as_deref() {
                Some("x509-svid") => authorities.extend(authority(&jwk, position)?),
                Some("jwt-svid") => add_jwt_key(&mut jwt_keys, &jwk, &value, position)?,
                _ => {
                    jwk.key(position)?;
                }
            }
        }
        if authorities.is_empty() && jwt_keys.is_empty() {
            return Err(DocumentError::Empty);
        }
        let x509 = match authorities.as_slice() {
            [] => None,
            certificates => Some(TrustBundle::from_der(domain.clone(), certificates)?),
        };
        Ok(Self {
            x509,
            jwt: JwtBundle::new(domain, JwtKeys::of(jwt_keys).ok_or(DocumentError::KeyId(0))?),
            sequence: raw.spiffe_sequence,
            refresh_hint: raw.spiffe_refresh_hint.map(Duration::from_secs),
            keys_digest,
        })
    }
}

/// The keys of a Workload API's JWT bundle.
pub(super) fn jwt_keys<'k>(jwks: impl IntoIterator<Item = &'k [u8]>) -> Result<JwtKeys, DocumentError> {
    let mut keys = Vec::new();
    for (position, jwk) in (1..).zip(jwks) {
        if position > MAX_KEYS {
            return Err(DocumentError::TooMany);
        }
        let value = json::parse(jwk)?;
        let jwk: RawJwk = json::read(value.clone())?;
        if jwk.usage.as_deref().is_none_or(|usage| usage == "jwt-svid") {
            add_jwt_key(&mut keys, &jwk, &value, position)?;
        }
    }
    JwtKeys::of(keys).ok_or(DocumentError::KeyId(0))
}

fn authority(jwk: &RawJwk, position: usize) -> Result<Option<CertificateDer<'static>>, DocumentError> {
    let wrong = || DocumentError::Certificate(position);
    let Some(key) = jwk.key(position)? else { return Ok(None) };
    let Some([only]) = jwk.x5c.as_deref() else { return Err(wrong()) };
    let der = Base64::decode_vec(only).map_err(|_| wrong())?;
    let (rest, certificate) = parse_x509_certificate(&der).map_err(|_| wrong())?;
    if !rest.is_empty() || !key.is_key_of(certificate.public_key()) {
        return Err(wrong());
    }
    Ok(Some(CertificateDer::from(der)))
}

/// Adds the key of an entry, unless JWT-SVIDs may not be signed with its kind.
fn add_jwt_key(keys: &mut Vec<JwtKey>, jwk: &RawJwk, value: &Value, position: usize) -> Result<(), DocumentError> {
    // What is broken is broken, whether or not we would use it.
    jwk.key(position)?;
    let members = value.as_object().ok_or(DocumentError::Key(position))?;
    let read = JwtKey::from_jwk(members).map_err(|error| match error {
        JwtKeyError::Kid | JwtKeyError::DuplicateKid => DocumentError::KeyId(position),
        JwtKeyError::Private => DocumentError::PrivateKey(position),
        _ => DocumentError::Key(position),
    })?;
    let Some(key) = read else { return Ok(()) };
    if keys.iter().any(|other| other.kid() == key.kid()) {
        return Err(DocumentError::KeyId(position));
    }
    keys.push(key);
    Ok(())
}

#[cfg(test)]
mod tests;
