//! A file of checkpoints that only grows: one signed note behind the other ([`crate::domain::ledger::notes`]).
//!
//! Each is written with one call and synced before it counts. What the file's last whole note says is the state: nothing
//! is kept elsewhere, so that the file can be on storage that the service may only append to. A file whose last checkpoint
//! is of more entries than the log has, or of as many under another root, is not appended to: the log was put back.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use async_trait::async_trait;

use crate::domain::ledger::{Checkpoint, CheckpointError, LogVerifier, notes};
use crate::service::ports::{CheckpointFile, PublishError};

/// How much of the end is looked at for the last note; a note with a dozen cosignatures is below 4 KiB.
const TAIL: u64 = 64 * 1024;

/// Appends checkpoints of one log to one file.
#[derive(Debug, Clone)]
pub struct AppendedFile {
    path: PathBuf,
    verifier: LogVerifier,
}

impl AppendedFile {
    /// The file at `path`, which is made by the first checkpoint; readable by others, because nothing in it is secret.
    pub fn new(path: PathBuf, verifier: LogVerifier) -> Self {
        Self { path, verifier }
    }

    /// Appends `checkpoint` and syncs; nothing if it is there. Blocks.
    ///
    /// # Errors
    /// When the file cannot be read or written, holds another log's checkpoints, or contradicts this one.
    pub fn append_now(&self, checkpoint: &Checkpoint) -> Result<bool, PublishError> {
        let unavailable = |what: &str| {
            let text = format!("cannot {what} `{}`", self.path.display());
            move |error: std::io::Error| PublishError::Unavailable(format!("{text}: {error}"))
        };
        let options = OpenOptions::new().append(true).create(true).mode(0o644).open(&self.path);
        let mut file = options.map_err(unavailable("open"))?;
        let new = file.metadata().map_err(unavailable("read"))?.len() == 0;
        let tail = tail(&self.path).map_err(unavailable("read"))?;
        if let Some(last) = self.last(&tail)? {
            let (has, newest) = (last.size(), checkpoint.size());
            if has > newest || (has == newest && last.root() != checkpoint.root()) {
                return Err(PublishError::Contradicted { has, newest });
            }
            if has == newest {
                return Ok(false);
            }
        }
        let text = format!("{}{}", notes::mend(&tail), notes::appended(checkpoint.note()));
        let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
        written.map_err(unavailable("append to"))?;
        if new {
            // The name itself must be durable too.
            sync_folder(&self.path).map_err(unavailable("sync the folder of"))?;
        }
        Ok(true)
    }

    /// The last checkpoint of the file; an incomplete stretch behind it is passed over.
    fn last(&self, tail: &str) -> Result<Option<Checkpoint>, PublishError> {
        let (notes, _) = notes::split(tail);
        for note in notes.iter().rev() {
            match self.verifier.verify(note) {
                Ok(checkpoint) => return Ok(Some(checkpoint)),
                Err(CheckpointError::OtherLog) => {
                    let detail = format!("`{}` has checkpoints of another log", self.path.display());
                    return Err(PublishError::Refused(detail));
                }
                Err(_) => {}
            }
        }
        Ok(None)
    }
}

fn tail(path: &Path) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
    let mut bytes = Vec::new();
    file.take(TAIL).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn sync_folder(path: &Path) -> std::io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

#[async_trait]
impl CheckpointFile for AppendedFile {
    async fn append(&self, checkpoint: &Checkpoint) -> Result<bool, PublishError> {
        let (this, checkpoint) = (self.clone(), checkpoint.clone());
        let appended = tokio::task::spawn_blocking(move || this.append_now(&checkpoint)).await;
        appended.map_err(|error| PublishError::Unavailable(error.to_string()))?
    }
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::SigningKey;

    use super::*;
    use crate::domain::id::Sha256Digest;
    use crate::domain::ledger::{LogKey, Origin};

    fn checkpoint(size: u64, root: &str) -> Checkpoint {
        let origin: Origin = "atb.example/x".parse().unwrap();
        LogKey::new(SigningKey::from_bytes(&[7; 32])).sign(&origin, size, Sha256Digest::of(root.as_bytes()))
    }

    fn file(dir: &Path) -> AppendedFile {
        let origin: Origin = "atb.example/x".parse().unwrap();
        AppendedFile::new(dir.join("kept.txt"), LogKey::new(SigningKey::from_bytes(&[7; 32])).verifier(&origin))
    }

    #[test]
    fn checkpoints_stand_one_behind_the_other_and_none_twice() {
        let dir = tempfile::tempdir().unwrap();
        let file = file(dir.path());
        assert_eq!(file.append_now(&checkpoint(1, "a")), Ok(true));
        assert_eq!(file.append_now(&checkpoint(1, "a")), Ok(false));
        assert_eq!(file.append_now(&checkpoint(3, "b")), Ok(true));
        let text = std::fs::read_to_string(&file.path).unwrap();
        let expected = [checkpoint(1, "a"), checkpoint(3, "b")].map(|c| c.note().to_owned());
        assert_eq!(notes::split(&text), (expected.to_vec(), 0));
    }

    #[test]
    fn a_log_that_was_put_back_or_forked_is_not_appended() {
        let dir = tempfile::tempdir().unwrap();
        let file = file(dir.path());
        file.append_now(&checkpoint(5, "a")).unwrap();
        let before = std::fs::read(&file.path).unwrap();
        assert_eq!(file.append_now(&checkpoint(4, "b")), Err(PublishError::Contradicted { has: 5, newest: 4 }));
        assert_eq!(file.append_now(&checkpoint(5, "b")), Err(PublishError::Contradicted { has: 5, newest: 5 }));
        assert_eq!(std::fs::read(&file.path).unwrap(), before);
    }

    #[test]
    fn a_write_that_a_crash_cut_off_is_marked_and_the_next_note_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let file = file(dir.path());
        file.append_now(&checkpoint(5, "a")).unwrap();
        let whole = std::fs::read(&file.path).unwrap();
        for cut in [whole.len() - 1, whole.len() - 9, 20] {
            let torn = [&whole[..], &whole[..cut]].concat();
            std::fs::write(&file.path, torn).unwrap();
            assert_eq!(file.append_now(&checkpoint(6, "b")), Ok(true), "{cut}");
            let text = std::fs::read_to_string(&file.path).unwrap();
            assert_eq!(notes::split(&text).0.last().unwrap(), checkpoint(6, "b").note(), "{cut}: {text}");
        }
    }

    #[test]
    fn a_file_of_another_log_is_not_mixed_with_this_one() {
        let dir = tempfile::tempdir().unwrap();
        let file = file(dir.path());
        let other: Origin = "atb.example/y".parse().unwrap();
        let note = LogKey::new(SigningKey::from_bytes(&[7; 32])).sign(&other, 1, Sha256Digest::of(b""));
        std::fs::write(&file.path, notes::appended(note.note())).unwrap();
        assert!(matches!(file.append_now(&checkpoint(2, "a")), Err(PublishError::Refused(_))));
    }
}
