//! The log's public key as a file, which the service writes at start-up and auditors read.

use std::io;
use std::path::{Path, PathBuf};

use super::schema::beside;
use crate::domain::ledger::{CheckpointError, LogVerifier};

/// Why a verification key was not read.
#[derive(Debug, thiserror::Error)]
pub enum VerifierKeyError {
    /// The file is out of reach.
    #[error("cannot read the ledger's verification key `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file holds something else.
    #[error("`{}` does not hold a verification key", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// Why.
        source: CheckpointError,
    },
}

/// Writes `verifier` to `path` in one line, whole or not at all.
///
/// # Errors
/// When the file cannot be written.
pub fn write_verifier_key(path: &Path, verifier: &LogVerifier) -> io::Result<()> {
    let draft = beside(path, ".new");
    std::fs::write(&draft, format!("{verifier}\n"))?;
    std::fs::rename(&draft, path)
}

/// Reads what [`write_verifier_key`] wrote.
///
/// # Errors
/// When the file cannot be read or is not a key.
pub fn read_verifier_key(path: &Path) -> Result<LogVerifier, VerifierKeyError> {
    let text =
        std::fs::read_to_string(path).map_err(|source| VerifierKeyError::Read { path: path.to_owned(), source })?;
    text.trim_end().parse().map_err(|source| VerifierKeyError::Content { path: path.to_owned(), source })
}
