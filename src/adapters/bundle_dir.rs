//! A bundle in a directory: reads it into [`BundleFiles`], within the bundle's limits.
//!
//! Hidden files and folders are skipped, `.manifest` excepted. A symbolic link is followed only to a place inside of
//! the directory (Kubernetes mounts files so); one that leads outside refuses the whole bundle.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use crate::domain::policy::bundle::{BundleError, BundleFiles, MAX_BYTES, MAX_FILES};

const MAX_DEPTH: usize = 16;

/// Why a directory is not read.
#[derive(Debug, thiserror::Error)]
pub enum BundleDirError {
    /// A file or folder cannot be read.
    #[error("cannot read `{path}`: {source}")]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A link to outside.
    #[error("`{0}` leads out of the bundle's directory: copy the file into it")]
    Outside(PathBuf),
    /// Neither a file nor a folder.
    #[error("`{0}` is neither a file nor a folder: remove it")]
    Special(PathBuf),
    /// More folders inside each other, files or bytes than a bundle has.
    #[error("`{0}` has more files, bytes or levels than a bundle may have")]
    TooLarge(PathBuf),
    /// The files are not a bundle's.
    #[error(transparent)]
    Files(#[from] BundleError),
}

/// Reads every file below `dir`.
///
/// # Errors
/// When anything below it cannot be read, leads outside, or is beyond the limits.
pub fn read(dir: &Path) -> Result<BundleFiles, BundleDirError> {
    let root = fs::canonicalize(dir).map_err(|source| BundleDirError::Io { path: dir.to_owned(), source })?;
    let mut reader = Reader { root: &root, files: Vec::new(), bytes: 0 };
    reader.folder(&root, "", 0)?;
    Ok(BundleFiles::new(reader.files)?)
}

struct Reader<'a> {
    root: &'a Path,
    files: Vec<(String, Vec<u8>)>,
    bytes: usize,
}

impl Reader<'_> {
    fn folder(&mut self, folder: &Path, prefix: &str, depth: usize) -> Result<(), BundleDirError> {
        let io = |source| BundleDirError::Io { path: folder.to_owned(), source };
        if depth > MAX_DEPTH {
            return Err(BundleDirError::TooLarge(folder.to_owned()));
        }
        for entry in fs::read_dir(folder).map_err(io)? {
            let entry = entry.map_err(io)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with('.') && !(name == ".manifest" && prefix.is_empty()) {
                continue;
            }
            self.entry(&entry.path(), format!("{prefix}{name}"), depth)?;
        }
        Ok(())
    }

    fn entry(&mut self, path: &Path, name: String, depth: usize) -> Result<(), BundleDirError> {
        let io = |source| BundleDirError::Io { path: path.to_owned(), source };
        let real = fs::canonicalize(path).map_err(io)?;
        if !real.starts_with(self.root) {
            return Err(BundleDirError::Outside(path.to_owned()));
        }
        let kind = fs::metadata(&real).map_err(io)?;
        if kind.is_dir() {
            return self.folder(&real, &format!("{name}/"), depth + 1);
        }
        if !kind.is_file() {
            return Err(BundleDirError::Special(path.to_owned()));
        }
        let left = MAX_BYTES.saturating_sub(self.bytes);
        let bound = u64::try_from(left).unwrap_or(u64::MAX).saturating_add(1);
        let mut content = Vec::new();
        File::open(&real).map_err(io)?.take(bound).read_to_end(&mut content).map_err(io)?;
        self.bytes = self.bytes.saturating_add(content.len());
        if content.len() > left || self.files.len() >= MAX_FILES {
            return Err(BundleDirError::TooLarge(path.to_owned()));
        }
        self.files.push((name, content));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn write(dir: &Path, name: &str, content: &str) {
        let path = dir.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    #[test]
    fn files_are_read_by_relative_path_and_hidden_ones_skipped() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), ".manifest", "{}");
        write(dir.path(), "tiers/data.json", "{}");
        write(dir.path(), ".git/config", "x");
        write(dir.path(), "policy/.poa.rego.swp", "x");
        let files = read(dir.path()).unwrap();
        assert_eq!(files.iter().map(|(path, _)| path).collect::<Vec<_>>(), [".manifest", "tiers/data.json"]);
    }

    #[test]
    fn a_link_inside_is_followed_and_one_to_outside_refused() {
        let (dir, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        write(dir.path(), "..data/real.rego", "package a");
        symlink("..data/real.rego", dir.path().join("a.rego")).unwrap();
        assert_eq!(read(dir.path()).unwrap().find("a.rego"), Some(&b"package a"[..]));
        write(outside.path(), "secret", "x");
        symlink(outside.path().join("secret"), dir.path().join("b.rego")).unwrap();
        assert!(matches!(read(dir.path()), Err(BundleDirError::Outside(_))));
    }

    #[test]
    fn a_circle_of_links_a_large_file_and_a_missing_directory_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        symlink(".", dir.path().join("loop")).unwrap();
        assert!(matches!(read(dir.path()), Err(BundleDirError::TooLarge(_))));
        let large = tempfile::tempdir().unwrap();
        fs::write(large.path().join("a"), vec![0; MAX_BYTES + 1]).unwrap();
        assert!(matches!(read(large.path()), Err(BundleDirError::TooLarge(_))));
        assert!(matches!(read(&large.path().join("none")), Err(BundleDirError::Io { .. })));
    }
}
