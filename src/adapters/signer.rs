//! Signing keys as josekit signers: Ed25519 in software for AgentAuth, the SVID's own key for approvers.
//!
//! Keys are read once, zeroised on drop, and never leave this module; `domain` sees the trait only.

use std::path::Path;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use ed25519_dalek::pkcs8::DecodePrivateKey as _;
use ed25519_dalek::{Signer as _, SigningKey};
use josekit::JoseError;
use josekit::jws::{JwsAlgorithm, JwsSigner};
use std::sync::Arc;

use crate::adapters::pem::{self, KeyPermissions, PemFileError};
use crate::domain::jose::{Alg, JwkError, MandateKey};
use crate::domain::policy::bundle::{TrustedKey, TrustedKeyError};
use crate::service::issuer::MandateSigner;

/// Why a key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SignerError {
    /// The file cannot be used.
    #[error(transparent)]
    File(#[from] PemFileError),
    /// Not a key of this kind.
    #[error("`{path}` is not {expected} in PKCS#8 PEM")]
    Kind {
        /// The file.
        path: String,
        /// What it should be.
        expected: &'static str,
    },
    /// The public half is not usable.
    #[error(transparent)]
    Key(#[from] JwkError),
}

/// Reads an Ed25519 signing key (PKCS#8 PEM, owner-only).
///
/// # Errors
/// As the variants of [`SignerError`] say.
pub fn read_ed25519(path: &Path) -> Result<SigningKey, SignerError> {
    let text = pem::read_key_file(path, KeyPermissions::OwnerOnly)?;
    let wrong = || SignerError::Kind { path: path.display().to_string(), expected: "an Ed25519 private key" };
    let text = std::str::from_utf8(&text).map_err(|_| wrong())?;
    SigningKey::from_pkcs8_pem(text).map_err(|_| wrong())
}

/// AgentAuth's signer and the key that verifies it.
///
/// # Errors
/// When the key is not usable.
pub fn mandate_signer(key: SigningKey) -> Result<(MandateSigner, MandateKey), SignerError> {
    let public = MandateKey::new(key.verifying_key())?;
    let signer = MandateSigner { kid: public.kid().clone(), signer: Box::new(Ed25519Signer(key)) };
    Ok((signer, public))
}

/// The signer of an approver's statements: the key of her SVID.
///
/// # Errors
/// As the variants of [`SignerError`] say.
pub fn svid_signer(path: &Path) -> Result<Box<dyn JwsSigner>, SignerError> {
    if let Ok(key) = read_ed25519(path) {
        return Ok(Box::new(Ed25519Signer(key)));
    }
    Ok(Box::new(Es256Signer(Arc::new(read_p256(path)?))))
}

/// The signer of releases of a policy, and its public key.
///
/// # Errors
/// As the variants of [`SignerError`] say.
pub fn release_signer(path: &Path) -> Result<ReleaseKey, SignerError> {
    if let Ok(key) = read_ed25519(path) {
        let public = TrustedKey::ed25519(key.verifying_key());
        return Ok((Box::new(Ed25519Signer(key)), public));
    }
    let key = read_p256(path)?;
    let public = TrustedKey::p256(key.public_key().as_ref());
    Ok((Box::new(Es256Signer(Arc::new(key))), public))
}

/// Both halves of a key that signs releases; the public one where it may be trusted.
pub type ReleaseKey = (Box<dyn JwsSigner>, Result<TrustedKey, TrustedKeyError>);

fn read_p256(path: &Path) -> Result<EcdsaKeyPair, SignerError> {
    let key = pem::read_private_key(path, KeyPermissions::OwnerOnly)?;
    EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, key.secret_der()).map_err(|_| SignerError::Kind {
        path: path.display().to_string(),
        expected: "an Ed25519 or P-256 private key",
    })
}

#[derive(Clone)]
struct Ed25519Signer(SigningKey);

impl std::fmt::Debug for Ed25519Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ed25519Signer")
    }
}

impl JwsSigner for Ed25519Signer {
    fn algorithm(&self) -> &dyn JwsAlgorithm {
        &Alg::EdDsa
    }

    fn key_id(&self) -> Option<&str> {
        None
    }

    fn signature_len(&self) -> usize {
        64
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, JoseError> {
        Ok(self.0.sign(message).to_bytes().to_vec())
    }

    fn box_clone(&self) -> Box<dyn JwsSigner> {
        Box::new(self.clone())
    }
}

#[derive(Clone)]
struct Es256Signer(Arc<EcdsaKeyPair>);

impl std::fmt::Debug for Es256Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Es256Signer")
    }
}

impl JwsSigner for Es256Signer {
    fn algorithm(&self) -> &dyn JwsAlgorithm {
        &Alg::Es256
    }

    fn key_id(&self) -> Option<&str> {
        None
    }

    fn signature_len(&self) -> usize {
        64
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, JoseError> {
        let signature = self
            .0
            .sign(&SystemRandom::new(), message)
            .map_err(|_| JoseError::InvalidSignature(anyhow::Error::msg("the key could not sign")))?;
        Ok(signature.as_ref().to_vec())
    }

    fn box_clone(&self) -> Box<dyn JwsSigner> {
        Box::new(self.clone())
    }
}
