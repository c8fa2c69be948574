//! `.signatures.json`: who vouches for the files of a bundle, in OPA's format (OPA documentation, "Bundles", "Signing").
//!
//! ```text
//! {"signatures": ["<JWS compact>"]}       exactly one, as OPA has it
//! header   {"alg": "EdDSA", "kid": <RFC 7638 thumbprint>, "typ": "JWT"}
//! payload  {"files": [{"name", "hash": <hex>, "algorithm": "SHA-256"}…], "keyid", "scope"?, "iat"?, "iss"?}
//! ```
//!
//! The key decides the algorithm and the header must agree. Every file of the bundle is in the list and every name of the
//! list is a file of the bundle. What the files mean is not looked at here. `.signatures.json` is not among the files of
//! a bundle, so that its digest is that of its content, whoever signed it.
//!
//! INVARIANT: [`VerifiedBundleFiles`] is made by [`UnverifiedArchive::verify`] alone.

use std::collections::BTreeMap;

use base64ct::{Base64UrlUnpadded, Encoding as _};
use josekit::jws::JwsHeader;
use serde::{Deserialize, Serialize};

use super::finding::BundleError;
use super::manifest::{Manifest, Sequence};
use super::trust::{ReleaseAlg, TrustedKey, TrustedKeys};
use super::{BundleFiles, MAX_FILES, opa_hash};
use crate::domain::id::KeyId;
use crate::domain::jose::{JwsError, UnverifiedJws};
use crate::domain::json;
use crate::domain::time::Timestamp;

/// The signatures' path in a folder or an archive.
pub const SIGNATURES: &str = ".signatures.json";
/// The most bytes of a signature: a name, a digest and punctuation for each file, in base64url.
pub const MAX_SIGNATURES_BYTES: usize = MAX_FILES * 512;
const SHA256: &str = "SHA-256";
/// The key id that OPA writes where nobody named one.
const OPA_NO_KEY_ID: &str = "default";

/// A bundle as it came: nothing in it is to be believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnverifiedArchive {
    /// Its files, without its signatures.
    pub files: BundleFiles,
    /// The text of `.signatures.json`, where there is one.
    pub signatures: Option<Vec<u8>>,
}

/// Whose signature counts, and for what.
#[derive(Debug, Clone)]
pub struct SignaturePolicy {
    /// The keys.
    pub keys: TrustedKeys,
    /// The scope that the signature must name; `None`: it names none.
    pub scope: Option<String>,
    /// The lowest sequence that is taken; a bundle without a sequence is then refused.
    pub min_sequence: Option<Sequence>,
}

/// The files of a bundle that a trusted key signed, all of them and no other, not expired and not older than wanted.
#[derive(Debug, Clone)]
pub struct VerifiedBundleFiles {
    files: BundleFiles,
    manifest: Manifest,
    signed_by: KeyId,
}

impl VerifiedBundleFiles {
    /// The files.
    pub fn files(&self) -> &BundleFiles {
        &self.files
    }

    /// The files, without what is known of them.
    pub fn into_files(self) -> BundleFiles {
        self.files
    }

    /// What the bundle says of itself.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The key that signed.
    pub fn signed_by(&self) -> &KeyId {
        &self.signed_by
    }
}

/// Why a bundle is not taken as signed.
#[derive(Debug, thiserror::Error)]
pub enum SignatureError {
    /// There is no `.signatures.json`.
    #[error("the bundle is not signed: sign it with `atb policy sign`")]
    Unsigned,
    /// `.signatures.json` is not one.
    #[error(".signatures.json is malformed: {0}")]
    Malformed(String),
    /// No trusted key goes by that id.
    #[error("no trusted key goes by `{0}`: trust it, or sign with a trusted key")]
    UnknownKey(String),
    /// Signed in a way that no trusted key signs.
    #[error("the signature's algorithm is `{0}`: expected that of a trusted key, EdDSA, ES256 or RS256")]
    Algorithm(String),
    /// The signature is not by a trusted key over these claims.
    #[error("the signature does not verify with the trusted key")]
    Signature,
    /// Signed for something else.
    #[error("the signature's scope is {found}, expected {expected}")]
    Scope {
        /// What the signature names.
        found: String,
        /// What must be named.
        expected: String,
    },
    /// A file is not the one that was signed.
    #[error("`{0}` is not what was signed")]
    Changed(String),
    /// A file that was signed as a document cannot be read as one.
    #[error(transparent)]
    Document(BundleError),
    /// A file that nobody vouches for.
    #[error("`{0}` is in the bundle and not in its signature")]
    NotSigned(String),
    /// A signed file that did not come.
    #[error("`{0}` is in the signature and not in the bundle")]
    Missing(String),
    /// The manifest is refused.
    #[error(transparent)]
    Manifest(BundleError),
    /// Too late.
    #[error("the bundle expired at {0}: build and sign a new one")]
    Expired(Timestamp),
    /// A sequence is asked for and the bundle has none.
    #[error("the bundle has no `metadata.sequence`, and {0} or higher is asked for")]
    NoSequence(Sequence),
    /// An older release.
    #[error("the bundle's sequence {found} is lower than {minimum}: a rollback is released with a higher sequence")]
    SequenceTooLow {
        /// The bundle's.
        found: Sequence,
        /// The lowest that is taken.
        minimum: Sequence,
    },
}

impl SignatureError {
    /// The code in events and problem documents.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unsigned => "bundle_unsigned",
            Self::Malformed(_) => "bundle_signatures_malformed",
            Self::UnknownKey(_) => "bundle_key_unknown",
            Self::Algorithm(_) => "bundle_algorithm_refused",
            Self::Signature => "bundle_signature_invalid",
            Self::Scope { .. } => "bundle_scope_mismatch",
            Self::Changed(_) | Self::Document(_) => "bundle_file_changed",
            Self::NotSigned(_) => "bundle_file_not_signed",
            Self::Missing(_) => "bundle_file_missing",
            Self::Manifest(_) => "bundle_manifest_invalid",
            Self::Expired(_) => "bundle_expired",
            Self::NoSequence(_) => "bundle_sequence_missing",
            Self::SequenceTooLow { .. } => "bundle_sequence_too_low",
        }
    }
}

impl UnverifiedArchive {
    /// Takes the bundle as signed: by a trusted key, for the scope, every file and no other, in time and in order.
    ///
    /// # Errors
    /// As the variants of [`SignatureError`] say, the first that applies in their order.
    pub fn verify(self, policy: &SignaturePolicy, now: Timestamp) -> Result<VerifiedBundleFiles, SignatureError> {
        let signatures = self.signatures.as_deref().ok_or(SignatureError::Unsigned)?;
        let (signed_by, claims) = verified_claims(signatures, &policy.keys)?;
        if claims.scope != policy.scope {
            let shown = |scope: Option<String>| scope.map_or("absent".to_owned(), |scope| format!("`{scope}`"));
            return Err(SignatureError::Scope { found: shown(claims.scope), expected: shown(policy.scope.clone()) });
        }
        check_files(&self.files, &claims.files)?;
        let manifest = Manifest::of(&self.files).map_err(SignatureError::Manifest)?;
        check_release(&manifest, policy.min_sequence, now)?;
        Ok(VerifiedBundleFiles { files: self.files, manifest, signed_by })
    }
}

/// The expiry and the order of a release.
fn check_release(manifest: &Manifest, minimum: Option<Sequence>, now: Timestamp) -> Result<(), SignatureError> {
    if let Some(expires_at) = manifest.expires_at().filter(|expires_at| *expires_at <= now) {
        return Err(SignatureError::Expired(expires_at));
    }
    match (minimum, manifest.sequence()) {
        (Some(minimum), None) => Err(SignatureError::NoSequence(minimum)),
        (Some(minimum), Some(found)) if found < minimum => Err(SignatureError::SequenceTooLow { found, minimum }),
        _ => Ok(()),
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SignaturesFile {
    signatures: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Claims {
    files: Vec<SignedFile>,
    #[serde(skip_serializing_if = "Option::is_none")]
    keyid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    iat: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    iss: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SignedFile {
    name: String,
    hash: String,
    algorithm: String,
}

/// The claims, once one of the trusted keys has signed them.
fn verified_claims(signatures: &[u8], keys: &TrustedKeys) -> Result<(KeyId, Claims), SignatureError> {
    let malformed = |what: String| SignatureError::Malformed(what);
    if signatures.len() > MAX_SIGNATURES_BYTES {
        return Err(malformed(format!("more than {MAX_SIGNATURES_BYTES} bytes")));
    }
    let file: SignaturesFile = json::parse_as(signatures).map_err(|e| malformed(e.to_string()))?;
    let [jws] = file.signatures.as_slice() else {
        return Err(malformed(format!("expected exactly one signature, found {}", file.signatures.len())));
    };
    let jws: UnverifiedJws<Header, Claims> =
        UnverifiedJws::parse(jws, MAX_SIGNATURES_BYTES).map_err(|e: JwsError| malformed(e.to_string()))?;
    let signed_by = signer(&jws, keys)?.kid().clone();
    Ok((signed_by, jws.unverified_payload))
}

/// The trusted key that signed.
fn signer<'a>(jws: &UnverifiedJws<Header, Claims>, keys: &'a TrustedKeys) -> Result<&'a TrustedKey, SignatureError> {
    let (header, claims) = (&jws.header, &jws.unverified_payload);
    if header.typ.as_deref().is_some_and(|typ| typ != "JWT") {
        return Err(SignatureError::Malformed("the header's `typ` is not `JWT`".to_owned()));
    }
    if header.kid.is_some() && claims.keyid.is_some() && header.kid != claims.keyid {
        return Err(SignatureError::Malformed("`kid` and `keyid` differ".to_owned()));
    }
    let named = header.kid.as_deref().or(claims.keyid.as_deref()).filter(|id| !id.is_empty());
    let candidates: Vec<&TrustedKey> = match named {
        Some(id) => match keys.find(id) {
            Some(key) => vec![key],
            None if id == OPA_NO_KEY_ID => keys.iter().collect(),
            None => return Err(SignatureError::UnknownKey(id.chars().take(80).collect())),
        },
        None => keys.iter().collect(),
    };
    let candidates: Vec<_> = candidates.into_iter().filter(|key| key.alg().as_str() == header.alg).collect();
    if candidates.is_empty() {
        return Err(SignatureError::Algorithm(header.alg.chars().take(20).collect()));
    }
    let (message, signature) = jws.as_str().rsplit_once('.').ok_or(SignatureError::Signature)?;
    let signature = Base64UrlUnpadded::decode_vec(signature).map_err(|_| SignatureError::Signature)?;
    let signed = candidates.into_iter().find(|key| key.signed(message.as_bytes(), &signature));
    signed.ok_or(SignatureError::Signature)
}

/// Every file is signed as it is, and every signed file is here.
fn check_files(files: &BundleFiles, signed: &[SignedFile]) -> Result<(), SignatureError> {
    let mut expected = BTreeMap::new();
    for file in signed {
        let name: String = file.name.chars().take(255).collect();
        if file.algorithm != SHA256 {
            return Err(SignatureError::Malformed(format!("the digest of `{name}` is not SHA-256")));
        }
        if expected.insert(file.name.as_str(), file.hash.as_str()).is_some() {
            return Err(SignatureError::Malformed(format!("`{name}` is there twice")));
        }
    }
    for (path, content) in files.iter() {
        let hash = expected.remove(path).ok_or_else(|| SignatureError::NotSigned(path.to_owned()))?;
        let digest = opa_hash::digest(path, content).map_err(|finding| SignatureError::Document(finding.into()))?;
        if digest.to_hex() != hash {
            return Err(SignatureError::Changed(path.to_owned()));
        }
    }
    match expected.keys().next() {
        Some(name) => Err(SignatureError::Missing(name.chars().take(255).collect())),
        None => Ok(()),
    }
}

/// What is to be signed: header and claims over the files of a bundle.
#[derive(Debug)]
pub struct UnsignedRelease {
    /// The header.
    pub header: JwsHeader,
    /// The claims.
    pub payload: Vec<u8>,
}

impl UnsignedRelease {
    /// What the key `kid` signs to vouch for `files`. No time is in it: the same files have the same claims.
    ///
    /// # Errors
    /// When a data file cannot be read in one way.
    pub fn of(files: &BundleFiles, kid: &KeyId, alg: ReleaseAlg, scope: Option<&str>) -> Result<Self, BundleError> {
        let signed = files.iter().map(|(path, content)| {
            let hash = opa_hash::digest(path, content)?.to_hex();
            Ok(SignedFile { name: path.to_owned(), hash, algorithm: SHA256.to_owned() })
        });
        let claims = Claims {
            files: signed.collect::<Result<_, BundleError>>()?,
            keyid: Some(kid.to_string()),
            scope: scope.map(str::to_owned),
            iat: None,
            iss: None,
        };
        let mut header = JwsHeader::new();
        header.set_algorithm(alg.as_str());
        header.set_key_id(kid.as_str());
        header.set_token_type("JWT");
        Ok(Self { header, payload: serde_json::to_vec(&claims).unwrap_or_default() })
    }
}

/// `.signatures.json` with one signature.
pub fn signatures_file(jws: String) -> Vec<u8> {
    serde_json::to_vec(&SignaturesFile { signatures: vec![jws] }).unwrap_or_default()
}
