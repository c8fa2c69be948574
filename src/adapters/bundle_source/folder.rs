//! A folder that somebody may be writing at the moment: it is taken only when two readings in a row are the same.
//!
//! A folder has no moment at which it is complete. Whoever wants one writes a second folder and renames it, or swaps a
//! symbolic link as Kubernetes does; the pause between two readings is for everybody else.

use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use super::SourceError;
use crate::adapters::bundle_archive;
use crate::domain::id::Sha256Digest;
use crate::domain::policy::bundle::UnverifiedArchive;

/// Between two readings that must be the same.
const SETTLE: Duration = Duration::from_millis(400);
/// Readings before a folder is said to be changing.
const READINGS: usize = 10;

/// The folder with its digest, unless that is `seen`. Without `settle` one reading is enough: for a start, which nobody
/// makes on a folder that is being written.
pub(super) fn read_settled(
    path: &Path,
    seen: Option<Sha256Digest>,
    settle: bool,
) -> Result<Option<(Sha256Digest, UnverifiedArchive)>, SourceError> {
    let mut before = None;
    for _ in 0..READINGS {
        let archive = read(path)?;
        let digest = digest(&archive);
        if seen == Some(digest) {
            return Ok(None);
        }
        if !settle || before == Some(digest) {
            return Ok(Some((digest, archive)));
        }
        before = Some(digest);
        sleep(SETTLE);
    }
    Err(SourceError::Unsettled(path.to_owned()))
}

fn read(path: &Path) -> Result<UnverifiedArchive, SourceError> {
    bundle_archive::read_path(path).map_err(SourceError::from)
}

/// Over files and signatures: a folder that was signed since is another one.
fn digest(archive: &UnverifiedArchive) -> Sha256Digest {
    let mut text = archive.files.digest().to_string().into_bytes();
    text.extend_from_slice(archive.signatures.as_deref().unwrap_or_default());
    Sha256Digest::of(&text)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::Instant;

    use super::*;

    #[test]
    fn a_folder_that_is_being_written_is_taken_when_it_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        file("a.rego", "package a");
        let (first, _) = read_settled(folder.path(), None, false).unwrap().unwrap();
        assert!(read_settled(folder.path(), Some(first), true).unwrap().is_none());
        file("a.rego", "package a\n\nhalf := ");
        let path = folder.path().to_owned();
        let writer = std::thread::spawn(move || {
            sleep(SETTLE / 2);
            fs::write(path.join("a.rego"), "package a\n\nhalf := 1").unwrap();
        });
        let start = Instant::now();
        let (_, archive) = read_settled(folder.path(), None, true).unwrap().unwrap();
        writer.join().unwrap();
        assert_eq!(archive.files.find("a.rego"), Some(&b"package a\n\nhalf := 1"[..]));
        assert!(start.elapsed() >= SETTLE * 2);
    }

    #[test]
    fn a_folder_that_never_rests_gives_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.rego");
        fs::write(&path, "package a").unwrap();
        let (stop, stopped) = std::sync::mpsc::channel::<()>();
        let writer = std::thread::spawn(move || {
            let mut n = 0;
            while stopped.recv_timeout(SETTLE / 8).is_err() {
                n += 1;
                fs::write(&path, format!("package a\n\nn := {n}")).unwrap();
            }
        });
        let outcome = read_settled(folder.path(), None, true);
        stop.send(()).unwrap();
        writer.join().unwrap();
        assert!(matches!(outcome, Err(SourceError::Unsettled(_))));
    }
}
