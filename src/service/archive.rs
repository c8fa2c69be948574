//! The archive of the ledger: full blocks of 256 entries, laid out as C2SP tlog-tiles (<https://c2sp.org/tlog-tiles>).
//!
//! ```text
//! tile/entries/<N>     entry bundle: per entry a big-endian uint16 length and its bytes
//! tile/0/<N>           the 256 leaf hashes
//! archive.json         what is archived, written last: origin, entries, root, checkpoint
//! ```
//!
//! A block is archived when both objects were read back and are what was written. `archive.json` moves only then, so an
//! archive that was broken off goes on where it stopped. Only full blocks are archived: they never change.
//!
//! INVARIANT: entries are taken out of the ledger only after the archive was read again and gave their leaves, and their
//! leaves, tiles and roots stay. A ledger that lacks entries verifies against them ([`WithArchive`]), or says which range
//! it could not read.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::auditor::{BLOCK, Columns, LogRow, LogSource, StoredBlock, StoredCheckpoint, StoredHead};
use super::ports::StoreError;
use crate::domain::id::Sha256Digest;
use crate::domain::ledger::{Frontier, LeafHash, Subtree};
use crate::domain::time::Timestamp;

/// The name of the document that says what is archived.
pub const MARKER: &str = "archive.json";

/// Where objects are kept.
#[async_trait]
pub trait ArchiveStore: Send + Sync {
    /// Writes an object, replacing one of that name; durable when it answers.
    async fn write(&self, name: &str, bytes: Vec<u8>) -> Result<(), ArchiveError>;

    /// Reads an object; `None` where there is none.
    async fn read(&self, name: &str) -> Result<Option<Vec<u8>>, ArchiveError>;
}

/// Why a block is not archived, or an archive is not believed.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The store of objects did not do it.
    #[error("{0}")]
    Store(String),
    /// The ledger cannot be read.
    #[error(transparent)]
    Ledger(#[from] StoreError),
    /// The object is not there, although the archive says that it holds the block.
    #[error("the archive has no `{0}`, and says that it holds it")]
    Missing(String),
    /// What was read is not what the ledger's leaves say.
    #[error("`{name}` in the archive is not what was written: entry {seq} has another leaf hash")]
    Changed {
        /// The object.
        name: String,
        /// The first entry that differs.
        seq: u64,
    },
    /// An object that is not of its format.
    #[error("`{0}` in the archive cannot be read")]
    Format(String),
    /// An entry that no bundle can hold.
    #[error("entry {0} has more than 65535 bytes, and an entry bundle holds none of that size")]
    TooLarge(u64),
    /// The ledger lacks entries of a block that is not archived.
    #[error("the ledger does not hold block {0} whole, and the archive does not either")]
    NotWhole(u64),
    /// The archive is another ledger's.
    #[error("the archive is of `{0}`, which is another log")]
    Foreign(String),
}

/// What an archive says it holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Marker {
    /// The form of the archive: 1.
    pub version: u32,
    /// Whose log.
    pub origin: String,
    /// Entries from the first on; a multiple of 256.
    pub entries: u64,
    /// The root over them.
    pub root: Sha256Digest,
    /// The newest signed checkpoint when it was written, which covers at least those entries.
    pub checkpoint: String,
    /// When it was written.
    pub at: Timestamp,
}

/// The marker of an archive; `None` of an empty one.
///
/// # Errors
/// When it cannot be read or is another log's.
pub async fn marker(archive: &dyn ArchiveStore, origin: &str) -> Result<Option<Marker>, ArchiveError> {
    let Some(bytes) = archive.read(MARKER).await? else { return Ok(None) };
    let marker: Marker = serde_json::from_slice(&bytes).map_err(|_| ArchiveError::Format(MARKER.to_owned()))?;
    if marker.version != 1 || !marker.entries.is_multiple_of(BLOCK) {
        return Err(ArchiveError::Format(MARKER.to_owned()));
    }
    if marker.origin != origin {
        return Err(ArchiveError::Foreign(marker.origin));
    }
    Ok(Some(marker))
}

/// The path of a tile: groups of three digits, all but the last with an `x`.
fn number(index: u64) -> String {
    let (rest, last) = (index / 1000, index % 1000);
    match rest {
        0 => format!("{last:03}"),
        rest => format!("{}/{last:03}", group(rest)),
    }
}

fn group(index: u64) -> String {
    match index / 1000 {
        0 => format!("x{:03}", index),
        rest => format!("{}/x{:03}", group(rest), index % 1000),
    }
}

fn bundle_name(block: u64) -> String {
    format!("tile/entries/{}", number(block))
}

fn tile_name(block: u64) -> String {
    format!("tile/0/{}", number(block))
}

/// Archives one full block of a ledger that was verified, and reads it back.
///
/// # Errors
/// As the variants of [`ArchiveError`] say; nothing may be taken out of the ledger then.
pub async fn put_block(source: &dyn LogSource, archive: &dyn ArchiveStore, block: u64) -> Result<(), ArchiveError> {
    let rows = source.rows(block * BLOCK, (block + 1) * BLOCK).await?;
    if rows.len() as u64 != BLOCK || rows.iter().any(|row| row.body.is_empty()) {
        return Err(ArchiveError::NotWhole(block));
    }
    let leaves = leaves(source, block).await?;
    for (name, bytes) in [(bundle_name(block), bundle(&rows)?), (tile_name(block), leaves.clone())] {
        archive.write(&name, bytes).await?;
    }
    check_block(archive, block, &leaves).await
}

/// Reads a block in the archive and holds it against the ledger's leaves.
///
/// # Errors
/// When it is not there, or is something else.
pub async fn check_block(archive: &dyn ArchiveStore, block: u64, leaves: &[u8]) -> Result<(), ArchiveError> {
    let kept = archive.read(&tile_name(block)).await?.ok_or_else(|| ArchiveError::Missing(tile_name(block)))?;
    if kept != leaves {
        return Err(ArchiveError::Changed { name: tile_name(block), seq: block * BLOCK });
    }
    let bodies = get_block(archive, block).await?;
    let (wanted, _) = leaves.as_chunks::<32>();
    let differs = |(body, leaf): (&Vec<u8>, &[u8; 32])| LeafHash::of(body).as_bytes() != leaf;
    match bodies.iter().zip(wanted).position(differs) {
        None if bodies.len() == wanted.len() => Ok(()),
        position => {
            let offset = position.unwrap_or(bodies.len().min(wanted.len())) as u64;
            Err(ArchiveError::Changed { name: bundle_name(block), seq: block * BLOCK + offset })
        }
    }
}

/// The 256 leaves that the ledger keeps of a block.
///
/// # Errors
/// When it keeps none.
pub async fn leaves(source: &dyn LogSource, block: u64) -> Result<Vec<u8>, ArchiveError> {
    let StoredBlock { leaves, .. } = source.block(block).await?;
    if leaves.len() as u64 == BLOCK * 32 { Ok(leaves) } else { Err(ArchiveError::NotWhole(block)) }
}

/// The bytes of a block's entries.
async fn get_block(archive: &dyn ArchiveStore, block: u64) -> Result<Vec<Vec<u8>>, ArchiveError> {
    let name = bundle_name(block);
    let bytes = archive.read(&name).await?.ok_or_else(|| ArchiveError::Missing(name.clone()))?;
    let mut rest = bytes.as_slice();
    let mut bodies = Vec::new();
    while let Some((length, behind)) = rest.split_first_chunk::<2>() {
        let length = usize::from(u16::from_be_bytes(*length));
        let (body, behind) = behind.split_at_checked(length).ok_or_else(|| ArchiveError::Format(name.clone()))?;
        bodies.push(body.to_vec());
        rest = behind;
    }
    if rest.is_empty() && bodies.len() as u64 <= BLOCK { Ok(bodies) } else { Err(ArchiveError::Format(name)) }
}

fn bundle(rows: &[LogRow]) -> Result<Vec<u8>, ArchiveError> {
    let mut bytes = Vec::new();
    for row in rows {
        let length = u16::try_from(row.body.len()).map_err(|_| ArchiveError::TooLarge(row.seq))?;
        bytes.extend(length.to_be_bytes());
        bytes.extend(&row.body);
    }
    Ok(bytes)
}

/// The root over the first `blocks` blocks, from the leaves that the ledger keeps.
///
/// # Errors
/// When it lacks some.
pub async fn root(source: &dyn LogSource, blocks: u64) -> Result<Sha256Digest, ArchiveError> {
    let mut frontier = Frontier::new();
    for block in 0..blocks {
        let leaves = leaves(source, block).await?;
        leaves.as_chunks::<32>().0.iter().for_each(|leaf| frontier.append(LeafHash::from_bytes(*leaf)));
    }
    Ok(frontier.root())
}

/// A ledger whose missing entries are read from an archive.
pub struct WithArchive<'a> {
    /// The ledger.
    pub ledger: &'a dyn LogSource,
    /// The archive.
    pub archive: &'a dyn ArchiveStore,
}

#[async_trait]
impl LogSource for WithArchive<'_> {
    async fn head(&self) -> Result<StoredHead, StoreError> {
        self.ledger.head().await
    }

    async fn rows(&self, from: u64, to: u64) -> Result<Vec<LogRow>, StoreError> {
        let mut rows = self.ledger.rows(from, to).await?;
        let mut held: Option<(u64, Vec<Vec<u8>>)> = None;
        for row in rows.iter_mut().filter(|row| row.body.is_empty()) {
            let block = row.seq / BLOCK;
            if held.as_ref().is_none_or(|(index, _)| *index != block) {
                let bodies = get_block(self.archive, block).await;
                held = Some((block, bodies.map_err(|error| StoreError::Unavailable(error.to_string()))?));
            }
            let offset = usize::try_from(row.seq % BLOCK).unwrap_or(usize::MAX);
            if let Some(body) = held.as_ref().and_then(|(_, bodies)| bodies.get(offset)) {
                row.body.clone_from(body);
                row.columns = Columns::of_body(body);
            }
        }
        Ok(rows)
    }

    async fn block(&self, index: u64) -> Result<StoredBlock, StoreError> {
        self.ledger.block(index).await
    }

    async fn history(&self, from: u64, limit: u32) -> Result<Vec<StoredCheckpoint>, StoreError> {
        self.ledger.history(from, limit).await
    }

    async fn subtree(&self, subtree: Subtree) -> Result<Option<Sha256Digest>, StoreError> {
        self.ledger.subtree(subtree).await
    }

    async fn last_history(&self, size: u64) -> Result<Option<StoredCheckpoint>, StoreError> {
        self.ledger.last_history(size).await
    }
}

#[cfg(test)]
#[cfg(feature = "server")]
mod tests;
