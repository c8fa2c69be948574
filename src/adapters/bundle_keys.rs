//! Files with the keys of releases: public ones that are trusted, private ones that sign.
//!
//! Public keys are PEM `PUBLIC KEY` blocks (RFC 7468 §13, SubjectPublicKeyInfo), one a file; private keys PKCS#8, which
//! only their owner may read.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use ed25519_dalek::SigningKey;
use ed25519_dalek::pkcs8::DecodePrivateKey as _;
use ed25519_dalek::pkcs8::spki::EncodePublicKey as _;
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use josekit::jws::JwsSigner;
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls::pki_types::SubjectPublicKeyInfoDer;
use rustls::pki_types::pem::PemObject as _;
use zeroize::Zeroizing;

use super::dev_identity::{self, DevIdentityError};
use super::pem::{self, PemFileError};
use super::signer::{self, SignerError};
use crate::domain::jose;
use crate::domain::policy::bundle::{
    BundleError, BundleFiles, TrustedKey, TrustedKeyError, UnsignedRelease, signatures_file,
};

/// The largest file of a public key.
const MAX_KEY_FILE_BYTES: u64 = 16 * 1024;

/// Why a key of releases cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BundleKeyError {
    /// The file cannot be read.
    #[error(transparent)]
    File(#[from] PemFileError),
    /// The file has something else, or more.
    #[error("`{}` does not have exactly one PUBLIC KEY block", .0.display())]
    NotOneKey(PathBuf),
    /// The key is not taken.
    #[error("`{}`", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: TrustedKeyError,
    },
    /// The private key cannot be used.
    #[error(transparent)]
    Signer(#[from] SignerError),
}

/// Reads a public key.
///
/// # Errors
/// As the variants of [`BundleKeyError`] say.
pub fn read_trusted(path: &Path) -> Result<TrustedKey, BundleKeyError> {
    let read = |source| PemFileError::Read { path: path.to_owned(), source };
    if fs::metadata(path).map_err(read)?.len() > MAX_KEY_FILE_BYTES {
        return Err(BundleKeyError::NotOneKey(path.to_owned()));
    }
    let bytes = fs::read(path).map_err(read)?;
    let mut keys = SubjectPublicKeyInfoDer::pem_slice_iter(&bytes);
    let (Some(Ok(key)), None) = (keys.next(), keys.next()) else {
        return Err(BundleKeyError::NotOneKey(path.to_owned()));
    };
    TrustedKey::from_spki_der(&key).map_err(|source| BundleKeyError::Key { path: path.to_owned(), source })
}

/// A private key that signs releases, with the public key that verifies them.
#[derive(Debug)]
pub struct ReleaseSigner {
    key: TrustedKey,
    signer: Box<dyn JwsSigner>,
}

/// Why a release is not signed.
#[derive(Debug, thiserror::Error)]
pub enum SignReleaseError {
    /// A file cannot be signed.
    #[error(transparent)]
    Files(#[from] BundleError),
    /// The key could not sign.
    #[error(transparent)]
    Jws(#[from] jose::JwsError),
}

impl ReleaseSigner {
    /// Reads an Ed25519 or P-256 key.
    ///
    /// # Errors
    /// As the variants of [`BundleKeyError`] say.
    pub fn read(path: &Path) -> Result<Self, BundleKeyError> {
        let (signer, key) = signer::release_signer(path)?;
        let key = key.map_err(|source| BundleKeyError::Key { path: path.to_owned(), source })?;
        Ok(Self { key, signer })
    }

    /// The public key.
    pub fn key(&self) -> &TrustedKey {
        &self.key
    }

    /// `.signatures.json` for these files.
    ///
    /// # Errors
    /// As the variants of [`SignReleaseError`] say.
    pub fn sign(&self, files: &BundleFiles, scope: Option<&str>) -> Result<Vec<u8>, SignReleaseError> {
        let release = UnsignedRelease::of(files, self.key.kid(), self.key.alg(), scope)?;
        Ok(signatures_file(jose::sign(&release.header, &release.payload, self.signer.as_ref())?))
    }
}

/// Writes a new key: the private half for its owner only, the public half into a file of its own. Nothing is replaced.
///
/// # Errors
/// When a file exists or cannot be written, or there are no random bytes.
pub fn write_new(alg: NewKeyAlg, private: &Path, public: &Path) -> Result<(), NewKeyError> {
    let (private_pem, public_pem) = match alg {
        NewKeyAlg::EdDsa => {
            let pem = dev_identity::new_signing_key_pem()?;
            let key = SigningKey::from_pkcs8_pem(&pem).map_err(|_| NewKeyError::Encoding)?;
            let public = key.verifying_key().to_public_key_pem(LineEnding::LF).map_err(|_| NewKeyError::Encoding)?;
            (pem, public)
        }
        NewKeyAlg::Es256 => {
            let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(|_| NewKeyError::Encoding)?;
            (Zeroizing::new(key.serialize_pem()), key.public_key_pem())
        }
    };
    let write = |source| PemFileError::Write { path: public.to_owned(), source };
    let mut file = OpenOptions::new().write(true).create_new(true).open(public).map_err(write)?;
    pem::write_private(private, private_pem.as_bytes()).inspect_err(|_| drop(fs::remove_file(public)))?;
    Ok(file.write_all(public_pem.as_bytes()).map_err(write)?)
}

/// How a new key will sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NewKeyAlg {
    /// Ed25519.
    EdDsa,
    /// ECDSA over P-256.
    Es256,
}

/// Why there is no new key.
#[derive(Debug, thiserror::Error)]
pub enum NewKeyError {
    /// No random bytes.
    #[error(transparent)]
    Random(#[from] DevIdentityError),
    /// The key cannot be written as PEM.
    #[error("the new key cannot be encoded")]
    Encoding,
    /// A file exists or cannot be written.
    #[error(transparent)]
    File(#[from] PemFileError),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_key_signs_what_its_public_half_verifies_and_replaces_nothing() {
        for alg in [NewKeyAlg::EdDsa, NewKeyAlg::Es256] {
            let dir = tempfile::tempdir().unwrap();
            let (private, public) = (dir.path().join("key.pem"), dir.path().join("key.pub.pem"));
            write_new(alg, &private, &public).unwrap();
            let trusted = read_trusted(&public).unwrap();
            assert_eq!(ReleaseSigner::read(&private).unwrap().key(), &trusted);
            let before = fs::read(&private).unwrap();
            assert!(write_new(alg, &private, &public).is_err());
            assert!(write_new(alg, &private, &dir.path().join("other.pem")).is_err());
            assert!(!dir.path().join("other.pem").exists());
            assert_eq!(fs::read(&private).unwrap(), before);
            assert!(matches!(read_trusted(&private), Err(BundleKeyError::NotOneKey(_))));
        }
    }

    #[test]
    fn a_private_key_that_others_can_read_does_not_sign() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let (private, public) = (dir.path().join("key.pem"), dir.path().join("key.pub.pem"));
        write_new(NewKeyAlg::EdDsa, &private, &public).unwrap();
        fs::set_permissions(&private, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(ReleaseSigner::read(&private).unwrap_err().to_string().contains("chmod 600"));
    }
}
