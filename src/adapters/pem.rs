//! PEM files: certificates, trust bundles and private keys (RFC 7468).
//!
//! A private key that others on the machine may read is not private: it is refused before it is used, on the opened
//! file, so that nothing changes between the check and the read. New keys are written for their owner only.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use base64ct::{Base64, Encoding as _};
use rustls::pki_types::pem::{PemObject as _, SectionKind};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use zeroize::Zeroizing;

use crate::domain::spiffe::{BundleError, TrustBundle, TrustDomain};

/// The largest file that is read: a bundle of 64 authorities, with room for the text between them.
const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// Who may read a private key besides its owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyPermissions {
    /// Nobody.
    OwnerOnly,
    /// Anybody: for development, on file systems without modes.
    DevAnyone,
}

/// Why a file was not read or written. Every message names the file.
#[derive(Debug, thiserror::Error)]
pub enum PemFileError {
    /// The operating system says no.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The operating system says no.
    #[error("cannot write `{}`", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// More than 1 MiB.
    #[error("`{}` is larger than {MAX_FILE_BYTES} bytes", .0.display())]
    TooLarge(PathBuf),
    /// Group or others may read or write the key.
    #[error("the private key `{}` has mode {mode:04o}: other users can reach it; run `chmod 600` on it", path.display())]
    KeyNotPrivate {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// No CERTIFICATE block, or a block that cannot be read.
    #[error("`{}` has no readable CERTIFICATE block", .0.display())]
    NoCertificate(PathBuf),
    /// Something other than a certificate in a file of certificates.
    #[error("`{}` has a PEM block that is not a certificate; keep keys in files of their own", .0.display())]
    NotOnlyCertificates(PathBuf),
    /// Not exactly one PKCS#8 key.
    #[error("`{}` does not have exactly one PRIVATE KEY block (PKCS#8, not encrypted)", .0.display())]
    NoPrivateKey(PathBuf),
    /// The bundle is refused.
    #[error("the trust bundle `{}` is refused", path.display())]
    Bundle {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: BundleError,
    },
}

/// Reads a chain of certificates, in the order of the file.
///
/// # Errors
/// When there is none, or anything else beside them.
pub fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, PemFileError> {
    let bytes = read_bounded(open(path)?, path)?;
    let mut certificates = Vec::new();
    for block in <(SectionKind, Vec<u8>)>::pem_slice_iter(&bytes) {
        match block {
            Ok((SectionKind::Certificate, der)) => certificates.push(der.into()),
            Ok(_) => return Err(PemFileError::NotOnlyCertificates(path.to_owned())),
            Err(_) => return Err(PemFileError::NoCertificate(path.to_owned())),
        }
    }
    if certificates.is_empty() {
        return Err(PemFileError::NoCertificate(path.to_owned()));
    }
    Ok(certificates)
}

/// Reads the authorities of `domain`.
///
/// # Errors
/// When one of them is refused.
pub fn read_bundle(path: &Path, domain: TrustDomain) -> Result<TrustBundle, PemFileError> {
    let bytes = read_bounded(open(path)?, path)?;
    TrustBundle::parse_pem(domain, &bytes).map_err(|source| PemFileError::Bundle { path: path.to_owned(), source })
}

/// Reads any small file that is no secret.
///
/// # Errors
/// When it cannot be read or is larger than 1 MiB.
pub fn read_small(path: &Path) -> Result<Vec<u8>, PemFileError> {
    read_bounded(open(path)?, path).map(|bytes| bytes.to_vec())
}

/// Writes the authorities of `bundle`, whole or not at all, over what is there.
///
/// # Errors
/// When it cannot be written.
pub fn replace_bundle(path: &Path, bundle: &TrustBundle) -> Result<(), PemFileError> {
    let text: String = bundle.certificates().map(certificate_pem).collect();
    let mut draft = path.as_os_str().to_owned();
    draft.push(".new");
    let folder = path.parent().map_or(Ok(()), std::fs::create_dir_all);
    folder
        .and_then(|()| std::fs::write(&draft, text))
        .and_then(|()| std::fs::rename(&draft, path))
        .map_err(|source| PemFileError::Write { path: path.to_owned(), source })
}

fn certificate_pem(der: &CertificateDer<'_>) -> String {
    let text = Base64::encode_string(der);
    let lines = text.as_bytes().chunks(64).map(|line| String::from_utf8_lossy(line).into_owned() + "\n");
    format!("-----BEGIN CERTIFICATE-----\n{}-----END CERTIFICATE-----\n", lines.collect::<String>())
}

/// Reads a private key in PKCS#8, for TLS.
///
/// # Errors
/// When others may read the file, or it does not hold exactly one such key.
pub fn read_private_key(path: &Path, permissions: KeyPermissions) -> Result<PrivateKeyDer<'static>, PemFileError> {
    let bytes = read_key_file(path, permissions)?;
    let mut keys = PrivatePkcs8KeyDer::pem_slice_iter(&bytes);
    match (keys.next(), keys.next()) {
        (Some(Ok(key)), None) => Ok(key.into()),
        _ => Err(PemFileError::NoPrivateKey(path.to_owned())),
    }
}

/// Reads any file that holds a private key (SVID keys, signing keys), after checking who else may read it.
///
/// # Errors
/// [`PemFileError::KeyNotPrivate`] unless only the owner has access, or `permissions` says that this does not matter.
pub fn read_key_file(path: &Path, permissions: KeyPermissions) -> Result<Zeroizing<Vec<u8>>, PemFileError> {
    let file = open(path)?;
    if permissions == KeyPermissions::OwnerOnly {
        check_private(&file, path)?;
    }
    read_bounded(file, path)
}

#[cfg(unix)]
fn check_private(file: &File, path: &Path) -> Result<(), PemFileError> {
    use std::os::unix::fs::PermissionsExt as _;
    let metadata = file.metadata().map_err(|source| PemFileError::Read { path: path.to_owned(), source })?;
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(PemFileError::KeyNotPrivate { path: path.to_owned(), mode });
    }
    Ok(())
}

#[cfg(not(unix))]
fn check_private(_: &File, _: &Path) -> Result<(), PemFileError> {
    Ok(())
}

/// Writes a new file that only its owner may read; never over an existing one.
///
/// # Errors
/// When it exists or cannot be written.
pub fn write_private(path: &Path, contents: &[u8]) -> Result<(), PemFileError> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    options
        .open(path)
        .and_then(|mut file| file.write_all(contents))
        .map_err(|source| PemFileError::Write { path: path.to_owned(), source })
}

fn open(path: &Path) -> Result<File, PemFileError> {
    File::open(path).map_err(|source| PemFileError::Read { path: path.to_owned(), source })
}

fn read_bounded(file: File, path: &Path) -> Result<Zeroizing<Vec<u8>>, PemFileError> {
    let mut bytes = Zeroizing::new(Vec::new());
    file.take(MAX_FILE_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(|source| PemFileError::Read { path: path.to_owned(), source })?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(PemFileError::TooLarge(path.to_owned()));
    }
    Ok(bytes)
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_key_that_others_can_read_is_refused_unless_told_otherwise() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key.pem");
        write_private(&path, b"secret").unwrap();
        assert_eq!(read_key_file(&path, KeyPermissions::OwnerOnly).unwrap().as_slice(), b"secret");
        for mode in [0o640, 0o604, 0o620, 0o601] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            let error = read_key_file(&path, KeyPermissions::OwnerOnly).unwrap_err();
            assert!(error.to_string().contains("chmod 600"), "{error}");
            assert!(read_key_file(&path, KeyPermissions::DevAnyone).is_ok());
        }
    }

    #[test]
    fn a_new_key_never_replaces_an_old_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key.pem");
        write_private(&path, b"first").unwrap();
        assert!(write_private(&path, b"second").is_err());
        assert_eq!(std::fs::read(&path).unwrap(), b"first");
    }

    #[test]
    fn a_chain_with_a_key_in_it_is_refused() {
        let vectors = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/svid");
        assert_eq!(read_certificates(&vectors.join("valid-with-intermediate.pem")).unwrap().len(), 2);
        let error = read_certificates(&vectors.join("bundle-with-a-key.pem")).unwrap_err();
        assert!(matches!(error, PemFileError::NotOnlyCertificates(_)), "{error}");
        let error = read_private_key(&vectors.join("valid.pem"), KeyPermissions::DevAnyone).unwrap_err();
        assert!(matches!(error, PemFileError::NoPrivateKey(_)), "{error}");
    }
}
