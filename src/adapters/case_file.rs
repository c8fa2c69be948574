//! A case as one file: zip, stored, in one form.
//!
//! Written so that one content has one form: sorted by name, not compressed, no time, no owner. Read so that there is no
//! second form: what was read is written again and must be the same bytes. So there is nothing that two readers of a zip
//! could see differently (two files of one name, data beside the files, another directory at the end), and nothing that
//! could grow: a compressed file is refused by its method, before it is unpacked.

use std::io::{Cursor, Read as _, Write as _};
use std::path::Path;

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipArchive, ZipWriter};

use crate::service::case::Files;

/// The largest case: a bundle is at most a quarter of it.
pub const MAX_CASE_BYTES: usize = 128 * 1024 * 1024;
/// The most files.
pub const MAX_CASE_FILES: usize = 20_000;
/// The longest name.
const MAX_NAME: usize = 128;

/// Why a case is not read or written.
#[derive(Debug, thiserror::Error)]
pub enum CaseFileError {
    /// Larger than a case may be.
    #[error("a case is at most {MAX_CASE_BYTES} bytes in {MAX_CASE_FILES} files")]
    TooLarge,
    /// Not a zip file, or broken.
    #[error("this is not a case file: {0}")]
    Zip(#[from] zip::result::ZipError),
    /// It cannot be read or written.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// A file that a case does not have.
    #[error("`{0}` in the file is not the name of a part of a case, or is compressed or encrypted")]
    Entry(String),
    /// A zip, but not as a case is written.
    #[error("the file is not as `atb audit case` writes it: somebody packed it anew, or something was added")]
    Form,
}

/// The file of these parts.
///
/// # Errors
/// When there are too many, or they are too large.
pub fn write(files: &Files) -> Result<Vec<u8>, CaseFileError> {
    let size: usize = files.iter().map(|(name, bytes)| name.len() + bytes.len()).sum();
    if files.len() > MAX_CASE_FILES || size > MAX_CASE_BYTES {
        return Err(CaseFileError::TooLarge);
    }
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Stored)
        .last_modified_time(DateTime::default())
        .unix_permissions(0o644);
    let mut zip = ZipWriter::new(Cursor::new(Vec::with_capacity(size)));
    for (name, bytes) in files {
        zip.start_file(name.as_str(), options)?;
        zip.write_all(bytes)?;
    }
    Ok(zip.finish()?.into_inner())
}

/// The parts of a file.
///
/// # Errors
/// As the variants of [`CaseFileError`] say.
pub fn read(bytes: &[u8]) -> Result<Files, CaseFileError> {
    if bytes.len() > MAX_CASE_BYTES {
        return Err(CaseFileError::TooLarge);
    }
    let mut zip = ZipArchive::new(Cursor::new(bytes))?;
    if zip.len() > MAX_CASE_FILES {
        return Err(CaseFileError::TooLarge);
    }
    let mut files = Files::new();
    for place in 0..zip.len() {
        let mut file = zip.by_index_raw(place)?;
        let name = file.name()?.into_owned();
        let plain = file.compression() == CompressionMethod::Stored && !file.encrypted();
        let size = file.size();
        let length = usize::try_from(size).unwrap_or(usize::MAX);
        if !plain || !is_name(&name) || length > bytes.len() {
            return Err(CaseFileError::Entry(name.escape_debug().take(MAX_NAME).collect()));
        }
        let mut content = Vec::with_capacity(length);
        file.by_ref().take(size.saturating_add(1)).read_to_end(&mut content)?;
        files.insert(name, content);
    }
    if write(&files)? == bytes { Ok(files) } else { Err(CaseFileError::Form) }
}

/// Reads the file at `path`, within the bound.
///
/// # Errors
/// As [`read`].
pub fn read_path(path: &Path) -> Result<Files, CaseFileError> {
    let mut bytes = Vec::new();
    let bound = u64::try_from(MAX_CASE_BYTES).unwrap_or(u64::MAX).saturating_add(1);
    std::fs::File::open(path)?.take(bound).read_to_end(&mut bytes)?;
    read(&bytes)
}

/// Names that could lead nowhere else if somebody unpacked them.
fn is_name(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-/".contains(&b);
    let segment = |part: &str| !part.is_empty() && !part.starts_with('.');
    name.len() <= MAX_NAME && name.bytes().all(plain) && name.split('/').all(segment)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files() -> Files {
        [("manifest.json", "{}"), ("entries/0000000001.json", "one"), ("a.txt", "")]
            .map(|(name, text)| (name.to_owned(), text.as_bytes().to_vec()))
            .into()
    }

    #[test]
    fn one_content_has_one_form_and_is_read_back() {
        let bytes = write(&files()).unwrap();
        assert_eq!(bytes, write(&files()).unwrap());
        assert_eq!(read(&bytes).unwrap(), files());
    }

    #[test]
    fn every_changed_byte_is_noticed_or_changes_what_is_read() {
        let bytes = write(&files()).unwrap();
        for place in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[place] ^= 1;
            assert!(read(&changed).ok() != Some(files()), "byte {place}");
        }
        for more in [[&bytes[..], b"x"].concat(), [b"x", &bytes[..]].concat(), bytes[..bytes.len() - 1].to_vec()] {
            assert!(read(&more).is_err());
        }
    }

    #[test]
    fn names_that_lead_elsewhere_and_files_in_another_order_are_refused() {
        let zip = |names: &[&str]| {
            let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
            for name in names {
                let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
                zip.start_file(*name, stored.last_modified_time(DateTime::default()).unix_permissions(0o644)).unwrap();
                zip.write_all(b"x").unwrap();
            }
            zip.finish().unwrap().into_inner()
        };
        assert!(read(&zip(&["a", "b"])).is_ok());
        assert!(matches!(read(&zip(&["b", "a"])), Err(CaseFileError::Form)));
        for name in ["../a", "/a", "a/../b", "a//b", "A", "a\\b", ".a", "a b", "é"] {
            assert!(matches!(read(&zip(&[name])), Err(CaseFileError::Entry(_))), "{name}");
        }
    }
}
