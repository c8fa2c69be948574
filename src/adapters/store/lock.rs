//! One process a ledger: an exclusive lock on `<ledger>.lock`, released by the system when the process ends.

use std::fs::{File, TryLockError};
use std::path::Path;

use super::schema::{OpenError, beside};

/// Held as long as the ledger is open for writing.
#[derive(Debug)]
pub(super) struct ExclusiveLock {
    _file: File,
}

impl ExclusiveLock {
    pub(super) fn take(ledger: &Path) -> Result<Self, OpenError> {
        let path = beside(ledger, ".lock");
        let failed = |source| OpenError::Lock { path: path.clone(), source };
        let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(OpenError::InUse(ledger.to_owned())),
            Err(TryLockError::Error(source)) => Err(failed(source)),
        }
    }
}
