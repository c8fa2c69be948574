//! The last good archive on disk, so that a start needs no network. It is verified again when it is read: whoever can write
//! here has not signed anything.

use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::{Found, Origin, SourceError, bound, open};
use crate::domain::id::Sha256Digest;

/// The file.
#[derive(Debug, Clone)]
pub struct LastGood(PathBuf);

impl LastGood {
    /// The file at `path`, which need not be there yet.
    pub fn at(path: PathBuf) -> Self {
        Self(path)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Replaces it, whole or not at all; durable when it returns.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn keep(&self, bytes: &[u8]) -> std::io::Result<()> {
        let draft = self.0.with_extension("new");
        let folder = self.0.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder)?;
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&draft, &self.0)?;
        File::open(folder)?.sync_all()
    }

    /// What was kept.
    ///
    /// # Errors
    /// When there is none, or it is not an archive.
    pub fn read(&self) -> Result<Found, SourceError> {
        let bytes = read_bounded(&self.0)?;
        let digest = Sha256Digest::of(&bytes);
        open(bytes, digest, Origin::LastGood)
    }
}

/// A file up to one byte more than an archive has.
pub(super) fn read_bounded(path: &Path) -> Result<Vec<u8>, SourceError> {
    let failed = |source| SourceError::Read { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    File::open(path).map_err(failed)?.take(bound()).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_archive_replaces_the_one_before_and_is_its_owners_only() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let kept = LastGood::at(folder.path().join("sub/policy.tar.gz"));
        kept.keep(b"first").unwrap();
        kept.keep(b"second").unwrap();
        assert_eq!(fs::read(kept.path()).unwrap(), b"second");
        assert_eq!(fs::metadata(kept.path()).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(kept.path().parent().unwrap()).unwrap().count(), 1, "no draft is left");
        assert!(matches!(kept.read(), Err(SourceError::Archive { .. })), "what is no archive is not taken");
    }
}
