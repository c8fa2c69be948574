//! The key of commitments to personal data in legal grounds: 32 bytes in a file that only its owner can read.
//!
//! The file holds 64 hexadecimal digits. Whoever has it can check whether a commitment is to a person that they name;
//! losing it loses that ability, and nothing else. It never leaves this module.

use std::fmt;
use std::path::Path;

use aws_lc_rs::hmac;
use zeroize::Zeroizing;

use crate::adapters::pem::{self, KeyPermissions, PemFileError};
use crate::domain::leg::Commit;

/// Why the key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CommitmentKeyError {
    /// The file cannot be used.
    #[error(transparent)]
    File(#[from] PemFileError),
    /// Not a key.
    #[error("`{0}` is not a commitment key: expected 64 hexadecimal digits")]
    Kind(String),
    /// No random bytes.
    #[error("the operating system gives no random bytes")]
    Entropy,
}

/// The key.
pub struct CommitmentKey {
    key: hmac::Key,
    kid: String,
}

impl CommitmentKey {
    /// Reads the key (owner-only).
    ///
    /// # Errors
    /// As the variants of [`CommitmentKeyError`] say.
    pub fn read(path: &Path) -> Result<Self, CommitmentKeyError> {
        let text = pem::read_key_file(path, KeyPermissions::OwnerOnly)?;
        let wrong = || CommitmentKeyError::Kind(path.display().to_string());
        let digits = std::str::from_utf8(&text).map_err(|_| wrong())?.trim_end();
        let mut bytes = Zeroizing::new([0_u8; 32]);
        let decoded = base16ct::mixed::decode(digits, bytes.as_mut()).map_err(|_| wrong())?;
        if decoded.len() != 32 {
            return Err(wrong());
        }
        Ok(Self::new(&bytes))
    }

    /// The key of these bytes.
    pub fn new(bytes: &[u8; 32]) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, bytes);
        // The name is a MAC of its own, so that it says nothing about the key and equal keys have equal names.
        let tag = hmac::sign(&key, b"atb/leg-commitment-key/v1");
        let kid = base16ct::lower::encode_string(tag.as_ref().get(..8).unwrap_or_default());
        Self { key, kid }
    }
}

/// A new key as it stands in its file.
///
/// # Errors
/// When there are no random bytes.
pub fn new_commitment_key() -> Result<Zeroizing<String>, CommitmentKeyError> {
    let mut bytes = Zeroizing::new([0_u8; 32]);
    aws_lc_rs::rand::fill(bytes.as_mut()).map_err(|_| CommitmentKeyError::Entropy)?;
    let mut text = Zeroizing::new(String::with_capacity(65));
    text.push_str(&Zeroizing::new(base16ct::lower::encode_string(bytes.as_ref())));
    text.push('\n');
    Ok(text)
}

impl Commit for CommitmentKey {
    fn kid(&self) -> &str {
        &self.kid
    }

    fn mac(&self, message: &[u8]) -> [u8; 32] {
        let mut mac = [0; 32];
        for (to, from) in mac.iter_mut().zip(hmac::sign(&self.key, message).as_ref()) {
            *to = *from;
        }
        mac
    }
}

impl fmt::Debug for CommitmentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CommitmentKey({})", self.kid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4231 §4.3 has a short key; HMAC pads keys below the block's size with zeros (RFC 2104 §2).
    #[test]
    fn the_mac_is_hmac_sha_256() {
        let mut key = [0; 32];
        key[..4].copy_from_slice(b"Jefe");
        let mac = CommitmentKey::new(&key).mac(b"what do ya want for nothing?");
        assert_eq!(
            base16ct::lower::encode_string(&mac),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }

    #[test]
    fn a_key_file_holds_64_digits_and_is_its_owners_only() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("commitment.key");
        pem::write_private(&path, new_commitment_key().unwrap().as_bytes()).unwrap();
        let key = CommitmentKey::read(&path).unwrap();
        assert_eq!(key.kid(), CommitmentKey::read(&path).unwrap().kid());
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(CommitmentKey::read(&path), Err(CommitmentKeyError::File(_))));
        for (i, bad) in ["", "00", &"g".repeat(64), &"0".repeat(63), &"+1".repeat(32)].into_iter().enumerate() {
            let path = dir.path().join(i.to_string());
            pem::write_private(&path, bad.as_bytes()).unwrap();
            assert!(matches!(CommitmentKey::read(&path), Err(CommitmentKeyError::Kind(_))), "{bad}");
        }
    }
}
