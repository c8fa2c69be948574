//! What an export is, signed: so that whoever is given the file knows what was asked, that it is whole, and by which
//! checkpoint of the ledger it is covered.
//!
//! The signature is Ed25519 (RFC 8032) over the line `atb-export-manifest-v1`, a line feed, and the canonical JSON (RFC
//! 8785) of `manifest`. The first line keeps it apart from checkpoints, which the same key signs. Keys are written as C2SP
//! note verifier keys, as in `ledger.vkey`.

use base64ct::{Base64, Encoding as _};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};

use super::ExportFormat;
use crate::domain::id::Sha256Digest;
use crate::domain::ledger::{LogKey, LogVerifier, Origin};
use crate::domain::time::Timestamp;

const CONTEXT: &str = "atb-export-manifest-v1\n";

/// What an export is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The format.
    pub format: ExportFormat,
    /// What was asked for, as the grammar prints it; empty for everything.
    pub query: String,
    /// Where it was started: entries before this number were not looked at.
    pub since_seq: u64,
    /// Where the next export goes on: entries from this number on were not looked at.
    pub next_seq: u64,
    /// How many entries are in the file.
    pub count: u64,
    /// The first of them.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub first_seq: Option<u64>,
    /// The last of them.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub last_seq: Option<u64>,
    /// How long the file is.
    pub bytes: u64,
    /// The digest of the file.
    pub digest: Sha256Digest,
    /// The ledger's name.
    pub origin: String,
    /// A signed checkpoint of the ledger that covers every entry before `next_seq`.
    pub checkpoint: String,
    /// When it was made, by the clock of who made it.
    pub created_at: Timestamp,
    /// What made it.
    pub program: String,
}

/// A manifest with its signature, as it stands beside the export.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedManifest {
    /// What is signed.
    pub manifest: Manifest,
    /// The key that signed it. Said, not proven: a reader verifies with a key that she has from elsewhere.
    pub key: String,
    /// Base64.
    pub signature: String,
}

/// Why a manifest does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// The key that it names is none of those it is verified with.
    #[error("the manifest is signed by `{0}`, which is not a key that you trust here; name it with --key")]
    OtherKey(String),
    /// The signature is wrong.
    #[error("the signature of the manifest is wrong: it was changed after it was signed")]
    Signature,
    /// The checkpoint in it is not signed by a trusted key, or does not cover the export.
    #[error("the checkpoint in the manifest does not cover the export: {0}")]
    Checkpoint(String),
}

impl Manifest {
    fn signed_bytes(&self) -> Vec<u8> {
        // INVARIANT: a struct of texts and whole numbers below 2^53 has a canonical form.
        let canonical = serde_json_canonicalizer::to_vec(self).unwrap_or_default();
        [CONTEXT.as_bytes(), &canonical].concat()
    }

    /// Signs it with `key`, which verifiers know under `name`.
    pub fn sign(self, key: &SigningKey, name: &Origin) -> SignedManifest {
        let signature = Base64::encode_string(&key.sign(&self.signed_bytes()).to_bytes());
        let key = LogKey::new(key.clone()).verifier(name).to_string();
        SignedManifest { manifest: self, key, signature }
    }
}

impl SignedManifest {
    /// Checks that one of `trusted` signed it, and that one of them signed a checkpoint that covers it.
    ///
    /// # Errors
    /// As the variants of [`ManifestError`] say.
    pub fn verify(&self, trusted: &[LogVerifier]) -> Result<&Manifest, ManifestError> {
        let own = trusted.iter().find(|key| key.to_string() == self.key);
        let own = own.ok_or_else(|| ManifestError::OtherKey(self.key.chars().take(300).collect()))?;
        let key = verifying_key(own).ok_or(ManifestError::Signature)?;
        let bytes = Base64::decode_vec(&self.signature).map_err(|_| ManifestError::Signature)?;
        let signature = Signature::from_slice(&bytes).map_err(|_| ManifestError::Signature)?;
        key.verify_strict(&self.manifest.signed_bytes(), &signature).map_err(|_| ManifestError::Signature)?;
        let manifest = &self.manifest;
        let by_log = |key: &&LogVerifier| key.origin().as_str() == manifest.origin;
        let uncovered = |why: String| Err(ManifestError::Checkpoint(why));
        let Some(log) = trusted.iter().find(by_log) else {
            return uncovered(format!("no key of the ledger `{}` is at hand; name it with --key", manifest.origin));
        };
        match log.verify(&manifest.checkpoint) {
            Ok(checkpoint) if checkpoint.size() >= manifest.next_seq => Ok(manifest),
            Ok(checkpoint) => {
                uncovered(format!("it ends at {}, the export at {}", checkpoint.size(), manifest.next_seq))
            }
            Err(error) => uncovered(error.to_string()),
        }
    }
}

/// The key in `origin+hash+base64(type || key)`.
fn verifying_key(verifier: &LogVerifier) -> Option<VerifyingKey> {
    let text = verifier.to_string();
    let typed: [u8; 33] = Base64::decode_vec(text.splitn(3, '+').nth(2)?).ok()?.try_into().ok()?;
    VerifyingKey::from_bytes(typed.last_chunk()?).ok()
}
