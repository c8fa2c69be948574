//! A file that grows by one entry a line, for collectors that read files.
//!
//! ```text
//! audit.jsonl                                    the open file, mode 0600
//! audit.20261121T100000Z-00000000000000004711.jsonl   rotated: the first entry's time and index
//! ```
//!
//! A batch is taken when it is on disk (`fsync`). If writing fails, what was written of the batch is cut off again. A
//! line without its end, which only a crash leaves, is cut off before the next write, and entries that a file holds
//! already are not written twice. Rotating renames within the folder, so that no reader sees half of it; nothing is ever
//! deleted here.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use serde::Deserialize;

use super::SinkFault;
use crate::config::FileSinkConfig;
use crate::domain::id::EventId;
use crate::domain::time::Timestamp;
use crate::service::ports::{OutboundRecord, Sink, SinkBatch, SinkError};

/// The longest line: an entry, with room.
const MAX_LINE: u64 = 128 * 1024;

/// A file.
#[derive(Debug)]
pub struct FileSink {
    config: FileSinkConfig,
    open: Arc<Mutex<Option<Open>>>,
}

/// The file as it is being written.
#[derive(Debug)]
struct Open {
    file: File,
    bytes: u64,
    /// Of the first entry in it.
    first_at: Option<Timestamp>,
    first_seq: Option<u64>,
    /// The last entry that was written.
    last: Option<EventId>,
}

impl FileSink {
    pub(super) fn new(config: &FileSinkConfig) -> Result<Self, SinkFault> {
        let folder = folder(&config.path);
        let usable = std::fs::metadata(folder).and_then(|found| match found.is_dir() {
            true => Ok(()),
            false => Err(io::ErrorKind::NotADirectory.into()),
        });
        usable.map_err(|source| SinkFault::Folder { path: config.path.clone(), source })?;
        Ok(Self { config: config.clone(), open: Arc::default() })
    }
}

#[async_trait]
impl Sink for FileSink {
    async fn deliver(&self, batch: &SinkBatch) -> Result<(), SinkError> {
        let (config, open, records) = (self.config.clone(), Arc::clone(&self.open), batch.records.clone());
        let written = tokio::task::spawn_blocking(move || {
            let mut open = open.lock().unwrap_or_else(PoisonError::into_inner);
            write(&config, &mut open, &records)
        });
        match written.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(SinkError::failed(format!("the file cannot be written: {error}"))),
            Err(_) => Err(SinkError::failed("writing the file was given up")),
        }
    }
}

fn write(config: &FileSinkConfig, slot: &mut Option<Open>, records: &[OutboundRecord]) -> io::Result<()> {
    // Whatever goes wrong below, the next attempt looks at the file anew.
    let mut open = match slot.take() {
        Some(open) => open,
        None => Open::at(&config.path)?,
    };
    let fresh = open.behind_last(records);
    let lines: Vec<u8> = fresh.iter().flat_map(|record| record.body.iter().chain(b"\n")).copied().collect();
    let Some(first) = fresh.first() else {
        *slot = Some(open);
        return Ok(());
    };
    if open.is_due(config, lines.len() as u64, first.at) {
        open.rotate(&config.path)?;
        open = Open { last: open.last, ..Open::at(&config.path)? };
    }
    open.append(&lines)?;
    open.last = fresh.last().map(|record| record.event_id);
    open.first_at = open.first_at.or(Some(first.at));
    open.first_seq = open.first_seq.or(Some(first.seq));
    *slot = Some(open);
    Ok(())
}

impl Open {
    /// Opens or makes the file, without a line that a crash left unfinished.
    fn at(path: &Path) -> io::Result<Self> {
        let mut file = OpenOptions::new().create(true).truncate(false).read(true).write(true).mode(0o600).open(path)?;
        let length = file.metadata()?.len();
        let tail = read_from(&mut file, length.saturating_sub(MAX_LINE))?;
        let unfinished = tail.iter().rev().position(|byte| *byte == b'\n').unwrap_or(tail.len());
        let bytes = length - unfinished as u64;
        if unfinished > 0 {
            file.set_len(bytes)?;
            file.sync_all()?;
        }
        let whole = tail.get(..tail.len() - unfinished).unwrap_or_default();
        let last = whole.trim_ascii_end().rsplit(|byte| *byte == b'\n').next().and_then(read_line);
        file.seek(SeekFrom::Start(0))?;
        let mut head = Vec::new();
        (&mut file).take(MAX_LINE).read_to_end(&mut head)?;
        let first = head.split(|byte| *byte == b'\n').next().and_then(read_line).filter(|_| bytes > 0);
        file.seek(SeekFrom::End(0))?;
        sync_folder(path)?;
        Ok(Self {
            file,
            bytes,
            first_at: first.as_ref().map(|line| line.at),
            first_seq: None,
            last: last.map(|line| line.event_id),
        })
    }

    /// The records that the file does not hold yet.
    fn behind_last<'r>(&self, records: &'r [OutboundRecord]) -> &'r [OutboundRecord] {
        let held = self.last.and_then(|last| records.iter().position(|record| record.event_id == last));
        held.and_then(|index| records.get(index + 1..)).unwrap_or(records)
    }

    fn is_due(&self, config: &FileSinkConfig, more: u64, at: Timestamp) -> bool {
        let old = self.first_at.is_some_and(|first| at.since(first) >= config.rotate_after);
        self.bytes > 0 && (old || self.bytes + more > config.rotate_bytes)
    }

    /// Gives the file its final name. Two files never get one name: the time and index of their first entry differ.
    fn rotate(&mut self, path: &Path) -> io::Result<()> {
        self.file.sync_all()?;
        let (stem, extension) = (part(path.file_stem()), part(path.extension()));
        let at: String = self.first_at.unwrap_or(Timestamp::from_secs(0)).to_string();
        let at: String = at.chars().filter(|c| !matches!(c, '-' | ':')).collect();
        let index = self.first_seq.map_or_else(String::new, |seq| format!("-{seq:020}"));
        let mut target = PathBuf::new();
        for attempt in 0..1000 {
            let more = if attempt == 0 { String::new() } else { format!(".{attempt}") };
            target = folder(path).join(format!("{stem}.{at}{index}{more}.{extension}"));
            if !target.exists() {
                break;
            }
        }
        if target.exists() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        std::fs::rename(path, target)?;
        sync_folder(path)
    }

    fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        let written = self.file.write_all(lines).and_then(|()| self.file.sync_data());
        if let Err(error) = written {
            // A reader must not see half a line for long; what cannot be cut off now is at the next opening.
            let _ = self.file.set_len(self.bytes);
            return Err(error);
        }
        self.bytes += lines.len() as u64;
        Ok(())
    }
}

/// What a line says of its entry.
#[derive(Deserialize)]
struct Line {
    event_id: EventId,
    at: Timestamp,
}

fn read_line(line: &[u8]) -> Option<Line> {
    serde_json::from_slice(line).ok()
}

fn read_from(file: &mut File, offset: u64) -> io::Result<Vec<u8>> {
    file.seek(SeekFrom::Start(offset))?;
    let mut bytes = Vec::new();
    file.take(MAX_LINE).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn part(name: Option<&std::ffi::OsStr>) -> String {
    name.map_or_else(|| "jsonl".to_owned(), |name| name.to_string_lossy().into_owned())
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(folder(path))?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::adapters::sinks::shapes::tests::records;

    fn sink(folder: &Path, rotate_bytes: u64) -> FileSinkConfig {
        FileSinkConfig { path: folder.join("audit.jsonl"), rotate_bytes, rotate_after: Duration::from_secs(3600) }
    }

    fn lines(path: &Path) -> Vec<String> {
        std::fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect()
    }

    #[test]
    fn a_line_that_a_crash_left_unfinished_goes_and_nothing_is_written_twice() {
        let dir = tempfile::tempdir().unwrap();
        let config = sink(dir.path(), 1_000_000);
        let all = records();
        write(&config, &mut None, &all[..2]).unwrap();
        let mut torn = std::fs::read(&config.path).unwrap();
        torn.extend(&all[2].body[..10]);
        std::fs::write(&config.path, torn).unwrap();
        // After the crash the place is older than the file.
        write(&config, &mut None, &all).unwrap();
        let bodies: Vec<_> = all.iter().map(|r| String::from_utf8(r.body.clone()).unwrap()).collect();
        assert_eq!(lines(&config.path), bodies);
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(std::fs::metadata(&config.path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_full_file_is_rotated_whole_and_no_name_comes_twice() {
        let dir = tempfile::tempdir().unwrap();
        let config = sink(dir.path(), 10);
        let mut slot = None;
        let all = records();
        for record in &all {
            write(&config, &mut slot, std::slice::from_ref(record)).unwrap();
        }
        let mut names: Vec<_> =
            std::fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        assert_eq!(names.len(), all.len(), "{names:?}");
        assert!(names[0].starts_with("audit.2026"), "{names:?}");
        assert!(names.iter().all(|name| lines(&dir.path().join(name)).len() == 1), "{names:?}");
    }
}
