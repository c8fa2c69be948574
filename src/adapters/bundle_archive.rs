//! A bundle as one file: OPA's `bundle.tar.gz`, read from whoever sent it and written in one form.
//!
//! ```text
//! gzip (RFC 1952, one member) of tar (POSIX ustar): regular files and folders, nothing else
//! ```
//!
//! Read strictly, because two readers of one tar can see two sets of files: no links, no devices, no extension headers
//! (PAX, GNU), no name twice, nothing behind the end. A name may start with `/` or `./`, as OPA and tar write it, and is
//! then a bundle's path. Hidden files other than `.manifest` and `.signatures.json` are refused; nothing is ever written
//! to disk. Written so that one content has one form: sorted, no owner, no time, one mode.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use flate2::bufread::GzDecoder;
use flate2::{Compression, GzBuilder};
use tar::{Archive, Builder, EntryType, Header};

use super::bundle_dir::{self, BundleDirError};
use crate::domain::policy::bundle::{
    BundleError, BundleFiles, MANIFEST, MAX_BYTES, MAX_FILES, MAX_SIGNATURES_BYTES, SIGNATURES, UnverifiedArchive,
};

/// The most bytes of an archive, compressed.
pub const MAX_ARCHIVE_BYTES: usize = MAX_BYTES;
/// The most bytes of the tar inside: contents, a header and padding each, and what tar adds at the end.
const MAX_TAR_BYTES: usize = MAX_BYTES + MAX_SIGNATURES_BYTES + MAX_ENTRIES * 2 * BLOCK + 64 * 1024;
/// Files and folders.
const MAX_ENTRIES: usize = 2 * MAX_FILES;
const BLOCK: usize = 512;
/// Where `ustar`'s header has padding; another dialect has a longer name's rest there.
const USTAR_PADDING: std::ops::Range<usize> = 500..512;
/// Hidden files that are part of a bundle; the last one only so that the manifest's reader can say why not.
const KNOWN_HIDDEN: [&str; 3] = [MANIFEST, SIGNATURES, ".manifest.pb"];

/// Why an archive is not read or written.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// Larger than a bundle may be.
    #[error("the archive has more than {0} bytes")]
    TooLarge(usize),
    /// Not gzip, or broken.
    #[error("the archive is not a whole gzip file")]
    Gzip(#[source] io::Error),
    /// Something behind the compressed data.
    #[error("the archive has bytes behind its end: send the file as it was built")]
    Trailing,
    /// Not tar, or broken.
    #[error("the archive is not a whole tar file: {0}")]
    Tar(String),
    /// An entry that a bundle does not have.
    #[error("`{name}` in the archive {what}")]
    Entry {
        /// Its name, as far as it can be shown.
        name: String,
        /// What is wrong with it.
        what: &'static str,
    },
    /// The files are not a bundle's.
    #[error(transparent)]
    Files(#[from] BundleError),
    /// It could not be compressed.
    #[error("the archive cannot be written")]
    Write(#[source] io::Error),
}

/// Why a bundle is not read from a path.
#[derive(Debug, thiserror::Error)]
pub enum BundleReadError {
    /// A folder.
    #[error(transparent)]
    Dir(#[from] BundleDirError),
    /// An archive.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// A file cannot be read.
    #[error("cannot read `{path}`")]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// Reads a bundle from a folder or an archive.
///
/// # Errors
/// When it cannot be read or is not a bundle's files.
pub fn read_path(path: &Path) -> Result<UnverifiedArchive, BundleReadError> {
    let io = |path: PathBuf| move |source| BundleReadError::Io { path, source };
    if fs::metadata(path).map_err(io(path.to_owned()))?.is_dir() {
        let file = path.join(SIGNATURES);
        let signatures = match read_bounded(&file, MAX_SIGNATURES_BYTES) {
            Ok(bytes) => Some(bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(source) => return Err(io(file)(source)),
        };
        return Ok(UnverifiedArchive { files: bundle_dir::read(path)?, signatures });
    }
    let bytes = read_bounded(path, MAX_ARCHIVE_BYTES).map_err(io(path.to_owned()))?;
    Ok(read(&bytes)?)
}

/// A file of at most `limit` bytes; of a longer one, one byte more, which its reader refuses.
fn read_bounded(path: &Path, limit: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1)).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Reads an archive.
///
/// # Errors
/// As the variants of [`ArchiveError`] say.
pub fn read(archive: &[u8]) -> Result<UnverifiedArchive, ArchiveError> {
    if archive.len() > MAX_ARCHIVE_BYTES {
        return Err(ArchiveError::TooLarge(MAX_ARCHIVE_BYTES));
    }
    let tar = decompress(archive)?;
    let mut files = Vec::new();
    let mut signatures = None;
    for (name, content) in entries(&tar)? {
        if name == SIGNATURES {
            if signatures.replace(content.to_vec()).is_some() {
                return Err(ArchiveError::Entry { name, what: "is there twice" });
            }
        } else {
            files.push((name, content.to_vec()));
        }
    }
    Ok(UnverifiedArchive { files: BundleFiles::new(files)?, signatures })
}

fn decompress(archive: &[u8]) -> Result<Vec<u8>, ArchiveError> {
    let mut decoder = GzDecoder::new(archive);
    let mut tar = Vec::new();
    let bound = u64::try_from(MAX_TAR_BYTES).unwrap_or(u64::MAX).saturating_add(1);
    decoder.by_ref().take(bound).read_to_end(&mut tar).map_err(ArchiveError::Gzip)?;
    if tar.len() > MAX_TAR_BYTES {
        return Err(ArchiveError::TooLarge(MAX_TAR_BYTES));
    }
    if decoder.into_inner().is_empty() { Ok(tar) } else { Err(ArchiveError::Trailing) }
}

/// Name and content of each regular file.
fn entries(tar: &[u8]) -> Result<Vec<(String, &[u8])>, ArchiveError> {
    let broken = |error: io::Error| ArchiveError::Tar(error.to_string());
    let (mut files, mut end) = (Vec::new(), 0_usize);
    let mut archive = Archive::new(tar);
    for (count, entry) in archive.entries().map_err(broken)?.raw(true).enumerate() {
        let entry = entry.map_err(broken)?;
        if count >= MAX_ENTRIES {
            return Err(ArchiveError::Tar(format!("more than {MAX_ENTRIES} entries")));
        }
        let at = |offset: u64| usize::try_from(offset).map_err(|_| ArchiveError::TooLarge(MAX_TAR_BYTES));
        let (from, size) = (at(entry.raw_file_position())?, at(entry.size())?);
        let content = from.checked_add(size).and_then(|to| tar.get(from..to));
        let content = content.ok_or_else(|| ArchiveError::Tar("a file ends early".to_owned()))?;
        end = from + size.next_multiple_of(BLOCK);
        if let Some(name) = file_name(entry.header(), size)? {
            files.push((name, content));
        }
    }
    let rest = tar.get(end..).unwrap_or_default();
    if rest.len() < 2 * BLOCK || rest.iter().any(|byte| *byte != 0) {
        return Err(ArchiveError::Tar("it does not end with two empty blocks and nothing behind them".to_owned()));
    }
    Ok(files)
}

/// The bundle's path of a regular file, `None` for a folder; everything else is refused.
fn file_name(header: &Header, size: usize) -> Result<Option<String>, ArchiveError> {
    let raw = header.path_bytes();
    let refuse = |what: &'static str| {
        let name = String::from_utf8_lossy(&raw).chars().filter(|c| !c.is_control()).take(80).collect();
        Err(ArchiveError::Entry { name, what })
    };
    let padding = header.as_bytes().get(USTAR_PADDING).unwrap_or_default();
    if header.as_gnu().is_none() && (header.as_ustar().is_none() || padding.iter().any(|byte| *byte != 0)) {
        return refuse("has a header that is not ustar's: write it with `tar --format=ustar`");
    }
    match header.entry_type() {
        EntryType::Regular => {}
        EntryType::Directory if size == 0 => return Ok(None),
        EntryType::Symlink | EntryType::Link => return refuse("is a link: put the file itself there"),
        EntryType::XHeader | EntryType::XGlobalHeader | EntryType::GNULongName | EntryType::GNULongLink => {
            return refuse("is an extension header: shorten long names and write with `tar --format=ustar`");
        }
        _ => return refuse("is neither a file nor a folder: remove it"),
    }
    let Ok(name) = std::str::from_utf8(&raw) else { return refuse("has a name that is not UTF-8") };
    let path = name.strip_prefix("./").or_else(|| name.strip_prefix('/')).unwrap_or(name);
    if path.split('/').any(|segment| segment.starts_with('.')) && !KNOWN_HIDDEN.contains(&path) {
        return refuse("is hidden or leads elsewhere, and is no part of a bundle: remove it");
    }
    Ok(Some(path.to_owned()))
}

/// Writes an archive; the same content gives the same bytes.
///
/// # Errors
/// When a name does not fit into a `ustar` header, or the archive would be larger than one that is read.
pub fn write(files: &BundleFiles, signatures: Option<&[u8]>) -> Result<Vec<u8>, ArchiveError> {
    let mut entries: Vec<(&str, &[u8])> = files.iter().chain(signatures.map(|bytes| (SIGNATURES, bytes))).collect();
    entries.sort_unstable_by_key(|(path, _)| *path);
    let mut tar = Builder::new(Vec::new());
    for (path, content) in entries {
        let header = header(path, content.len())?;
        tar.append(&header, content).map_err(ArchiveError::Write)?;
    }
    let tar = tar.into_inner().map_err(ArchiveError::Write)?;
    // 255: no operating system is named (RFC 1952 §2.3.1).
    let mut gzip = GzBuilder::new().mtime(0).operating_system(255).write(Vec::new(), Compression::best());
    gzip.write_all(&tar).map_err(ArchiveError::Write)?;
    let archive = gzip.finish().map_err(ArchiveError::Write)?;
    if archive.len() > MAX_ARCHIVE_BYTES { Err(ArchiveError::TooLarge(MAX_ARCHIVE_BYTES)) } else { Ok(archive) }
}

fn header(path: &str, size: usize) -> Result<Header, ArchiveError> {
    let mut header = Header::new_ustar();
    let long =
        |_| ArchiveError::Entry { name: path.to_owned(), what: "has a name too long for an archive: shorten it" };
    header.set_path(path).map_err(long)?;
    header.set_size(u64::try_from(size).unwrap_or(u64::MAX));
    header.set_entry_type(EntryType::Regular);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_cksum();
    Ok(header)
}

#[cfg(test)]
mod tests;
