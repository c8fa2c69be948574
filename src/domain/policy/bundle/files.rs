//! The files of a bundle before anybody has read a meaning into them.
//!
//! INVARIANT: at most [`MAX_FILES`] files of together [`MAX_BYTES`], sorted by path, each path relative, without `.`
//! or `..`, of `A-Z a-z 0-9 . _ -`. Two sets with the same digest are the same set.

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};

use super::finding::{BundleError, Finding, Place};
use crate::domain::id::Sha256Digest;

/// The most files in a bundle.
pub const MAX_FILES: usize = 2_000;
/// The most bytes in a bundle.
pub const MAX_BYTES: usize = 16 * 1024 * 1024;
const MAX_PATH_BYTES: usize = 255;
const MAX_PATH_SEGMENTS: usize = 16;

/// The files of a bundle: relative path → content.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BundleFiles(BTreeMap<String, Vec<u8>>);

impl BundleFiles {
    /// Collects files.
    ///
    /// # Errors
    /// When a path is not of the grammar or is there twice, or the files are too many or too large.
    pub fn new(files: impl IntoIterator<Item = (String, Vec<u8>)>) -> Result<Self, BundleError> {
        let mut collected = Self::default();
        let mut bytes = 0_usize;
        for (path, content) in files {
            bytes = bytes.saturating_add(content.len());
            collected.insert(path, content, bytes)?;
        }
        Ok(collected)
    }

    fn insert(&mut self, path: String, content: Vec<u8>, bytes: usize) -> Result<(), BundleError> {
        let refuse = |what: String, fix: &str| Err(Finding::new(Place::whole(), what, fix).into());
        if !is_path(&path) {
            let shown: String = path.chars().take(80).collect();
            return refuse(
                format!("`{shown}` is not a path in a bundle"),
                "use relative paths of A-Z a-z 0-9 . _ - with at most 16 segments",
            );
        }
        if bytes > MAX_BYTES {
            return refuse(format!("more than {MAX_BYTES} bytes"), "split the bundle or remove what it does not need");
        }
        if self.0.len() >= MAX_FILES {
            return refuse(format!("more than {MAX_FILES} files"), "merge small files");
        }
        if self.0.contains_key(&path) {
            return refuse(format!("`{path}` is there twice"), "keep one of them");
        }
        self.0.insert(path, content);
        Ok(())
    }

    /// The files by path.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.0.iter().map(|(path, content)| (path.as_str(), content.as_slice()))
    }

    /// One file.
    pub fn find(&self, path: &str) -> Option<&[u8]> {
        self.0.get(path).map(Vec::as_slice)
    }

    /// SHA-256 over path and content of each file in the order of paths, each preceded by its length in 8 bytes.
    pub fn digest(&self) -> Sha256Digest {
        let mut hash = Sha256::new_with_prefix(b"atb-bundle-v1\0");
        for (path, content) in self.iter() {
            for part in [path.as_bytes(), content] {
                hash.update(length(part));
                hash.update(part);
            }
        }
        Sha256Digest::from_bytes(hash.finalize().into())
    }

    /// The set as one byte string: path and content of each file, each preceded by its length in 8 bytes.
    pub fn to_wire(&self) -> Vec<u8> {
        self.iter().flat_map(|(path, content)| [path.as_bytes(), content]).fold(Vec::new(), |mut wire, part| {
            wire.extend_from_slice(&length(part));
            wire.extend_from_slice(part);
            wire
        })
    }

    /// Reads what [`Self::to_wire`] wrote.
    ///
    /// # Errors
    /// As [`Self::new`], and when the bytes end early.
    pub fn from_wire(mut wire: &[u8]) -> Result<Self, BundleError> {
        let torn = || Finding::new(Place::whole(), "the transfer ended early", "send it again");
        let mut files = Vec::new();
        while !wire.is_empty() {
            let path = take_part(&mut wire).ok_or_else(torn)?;
            let content = take_part(&mut wire).ok_or_else(torn)?;
            files.push((String::from_utf8_lossy(path).into_owned(), content.to_vec()));
        }
        Self::new(files)
    }
}

fn length(part: &[u8]) -> [u8; 8] {
    u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes()
}

fn take_part<'a>(wire: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, rest) = wire.split_first_chunk::<8>()?;
    let (part, rest) = rest.split_at_checked(usize::try_from(u64::from_be_bytes(*length)).ok()?)?;
    *wire = rest;
    Some(part)
}

fn is_path(path: &str) -> bool {
    let segment = |s: &str| {
        !s.is_empty()
            && s != "."
            && s != ".."
            && s.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
    };
    path.len() <= MAX_PATH_BYTES && path.split('/').count() <= MAX_PATH_SEGMENTS && path.split('/').all(segment)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(list: &[(&str, &str)]) -> Result<BundleFiles, BundleError> {
        BundleFiles::new(list.iter().map(|(p, c)| ((*p).to_owned(), c.as_bytes().to_vec())))
    }

    #[test]
    fn a_path_that_leaves_the_bundle_or_its_alphabet_is_refused() {
        for path in ["", "/etc/passwd", "../x", "a/../b", "a//b", "a/", "./a", "a\\b", "a b", "ä", "a\0b"] {
            assert!(files(&[(path, "")]).is_err(), "{path:?}");
        }
        assert!(files(&[(&"a/".repeat(16), "")]).is_err());
        assert!(files(&[("policy/poa.rego", ""), (".manifest", "")]).is_ok());
    }

    #[test]
    fn number_size_and_repetition_are_bounded() {
        assert!(files(&[("a", ""), ("a", "")]).is_err());
        assert!(BundleFiles::new((0..=MAX_FILES).map(|i| (i.to_string(), Vec::new()))).is_err());
        assert!(BundleFiles::new([("a".to_owned(), vec![0; MAX_BYTES]), ("b".to_owned(), vec![0])]).is_err());
    }

    #[test]
    fn the_digest_ignores_order_and_sees_every_boundary() {
        let digest = |list: &[(&str, &str)]| files(list).unwrap().digest();
        assert_eq!(digest(&[("a", "1"), ("b", "2")]), digest(&[("b", "2"), ("a", "1")]));
        assert_ne!(digest(&[("a", "1b2")]), digest(&[("a", "1"), ("b", "2")]));
        assert_ne!(digest(&[("a", "12")]), digest(&[("a1", "2")]));
    }

    #[test]
    fn a_transfer_arrives_whole_or_not_at_all() {
        let sent = files(&[("a", "1"), ("b/c", "")]).unwrap();
        let wire = sent.to_wire();
        assert_eq!(BundleFiles::from_wire(&wire).unwrap(), sent);
        for end in 1..wire.len() {
            let arrived = BundleFiles::from_wire(&wire[..end]);
            assert!(arrived.is_err() || arrived.unwrap() != sent, "{end}");
        }
        assert!(BundleFiles::from_wire(&[0xff; 32]).is_err());
    }
}
