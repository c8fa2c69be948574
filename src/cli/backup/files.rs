//! The files of a backup: copied, packed and taken out again, whole or not at all.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Component, Path, PathBuf};

use anyhow::{Context as _, bail};
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;

use crate::domain::id::Sha256Digest;

/// The most files of a backup.
const MAX_FILES: usize = 10_000;

/// A folder of our own on the file system of `path`, gone if nothing comes of it.
pub(super) fn private_folder_beside(path: &Path) -> anyhow::Result<tempfile::TempDir> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    tempfile::Builder::new()
        .prefix(".atb-")
        .tempdir_in(folder)
        .with_context(|| format!("cannot write in `{}`", folder.display()))
}

/// Puts the folder in its place, as a folder or packed into a file, whole or not at all.
pub(super) fn finish(staging: tempfile::TempDir, out: &Path) -> anyhow::Result<()> {
    let packed = out.to_string_lossy().ends_with(".tar.gz") || out.to_string_lossy().ends_with(".tgz");
    let failed = || format!("cannot write `{}`", out.display());
    if packed {
        let draft = tempfile::NamedTempFile::new_in(
            out.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new(".")),
        )?;
        let mut tar = tar::Builder::new(GzEncoder::new(draft.as_file(), Compression::default()));
        tar.append_dir_all(".", staging.path()).with_context(failed)?;
        tar.into_inner().and_then(GzEncoder::finish).with_context(failed)?;
        draft.as_file().sync_all().with_context(failed)?;
        draft.persist_noclobber(out).map_err(|error| error.error).with_context(failed)?;
    } else {
        fs::rename(staging.keep(), out).with_context(failed)?;
    }
    let folder = out.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).with_context(failed)
}

/// Only plain files and folders with plain names are taken out of an archive.
pub(super) fn unpack(from: &Path, into: &Path) -> anyhow::Result<()> {
    let mut archive = tar::Archive::new(GzDecoder::new(File::open(from)?));
    for (count, entry) in archive.entries()?.enumerate() {
        let mut entry = entry?;
        let name = entry.path()?.into_owned();
        let plain = name.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
        if !plain || count > 2 * MAX_FILES {
            bail!("`{}` has no place in a backup", name.display());
        }
        match entry.header().entry_type() {
            tar::EntryType::Directory => fs::create_dir_all(into.join(&name))?,
            tar::EntryType::Regular => {
                let to = into.join(&name);
                fs::create_dir_all(to.parent().unwrap_or(into))?;
                let mut file = private_file(&to)?;
                io::copy(&mut entry, &mut file)?;
                file.sync_all()?;
            }
            _ => bail!("`{}` is neither a file nor a folder", name.display()),
        }
    }
    Ok(())
}

/// The digest of every file below `folder`, by its name relative to it.
pub(super) fn digests(folder: &Path) -> anyhow::Result<BTreeMap<String, Sha256Digest>> {
    let mut files = BTreeMap::new();
    for path in files_below(folder)? {
        let name = path.strip_prefix(folder)?.to_string_lossy().into_owned();
        files.insert(name, digest_of(&path)?);
    }
    Ok(files)
}

fn digest_of(path: &Path) -> io::Result<Sha256Digest> {
    use sha2::Digest as _;
    let (mut file, mut hash, mut buffer) = (File::open(path)?, sha2::Sha256::new(), vec![0; 64 * 1024]);
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Ok(Sha256Digest::from_bytes(hash.finalize().into()));
        }
        hash.update(buffer.get(..read).unwrap_or_default());
    }
}

/// Plain files; anything else (a link, a socket) is an error, because it would be something else when restored.
fn files_below(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let (mut files, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next)? {
            let (path, kind) = entry.map(|entry| (entry.path(), entry.file_type()))?;
            match kind? {
                kind if kind.is_dir() => folders.push(path),
                kind if kind.is_file() => files.push(path),
                _ => bail!("`{}` is neither a file nor a folder", path.display()),
            }
            if files.len() + folders.len() > MAX_FILES {
                bail!("there are more than {MAX_FILES} files");
            }
        }
    }
    files.sort();
    Ok(files)
}

pub(super) fn copy_tree(from: &Path, to: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(to)?;
    for file in files_below(from)? {
        copy_file(&file, &to.join(file.strip_prefix(from)?))?;
    }
    Ok(())
}

pub(super) fn copy_file(from: &Path, to: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(to.parent().unwrap_or(Path::new(".")))?;
    let mut file = private_file(to)?;
    io::copy(&mut File::open(from)?, &mut file)?;
    Ok(file.sync_all()?)
}

fn private_file(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

pub(super) fn write_synced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = private_file(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}
