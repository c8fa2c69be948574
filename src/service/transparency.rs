//! The log as others read it: its newest checkpoint and its tiles (C2SP tlog-tiles), for the readers that the
//! configuration names. Nobody is one by default: entries say who did what.
//!
//! INVARIANT: what is read lies within the newest signed checkpoint, so that nobody is shown what may still be undone.

use std::sync::Arc;

use async_trait::async_trait;

use super::ports::{PublishedLog, StoreError};
use super::refusal::{Code, Refusal};
use crate::domain::ledger::{Checkpoint, TileKind, TilePath, entry_bundle};
use crate::domain::spiffe::{SpiffePattern, VerifiedSvid};

/// The log's hashes and entries. Nothing below the newest checkpoint's size ever changes.
#[async_trait]
pub trait LogTiles: PublishedLog {
    /// The `count` hashes from `first` on at the tile level `level` (each over `256^level` entries); fewer if there are
    /// fewer.
    async fn hashes(&self, level: u8, first: u64, count: u16) -> Result<Vec<[u8; 32]>, StoreError>;

    /// The bytes of the `count` entries from `first` on; fewer if there are fewer.
    async fn bodies(&self, first: u64, count: u16) -> Result<Vec<Vec<u8>>, StoreError>;
}

/// The log behind the doors.
pub struct Transparency {
    readers: Vec<SpiffePattern>,
    log: Arc<dyn LogTiles>,
}

impl Transparency {
    /// For these readers and no others.
    pub fn new(readers: Vec<SpiffePattern>, log: Arc<dyn LogTiles>) -> Self {
        Self { readers, log }
    }

    /// Whether `caller` may read the log.
    ///
    /// # Errors
    /// A refusal, to be recorded by the door.
    pub fn admit(&self, caller: &VerifiedSvid) -> Result<(), Refusal> {
        if self.readers.iter().any(|pattern| pattern.matches(caller.id())) {
            return Ok(());
        }
        let detail = "you are not among the readers of the ledger (`ledger.readers`)";
        Err(Refusal::because(Code::CallerNotAllowed, "ledger_reader_unknown", detail))
    }

    /// The newest checkpoint, with the cosignatures that there are of it.
    ///
    /// # Errors
    /// A refusal when the store cannot be read.
    pub async fn checkpoint(&self) -> Result<Checkpoint, Refusal> {
        let newest = self.log.newest().await?;
        let cosigned = self.log.cosigned().await?;
        Ok(cosigned.filter(|cosigned| cosigned.text() == newest.text()).unwrap_or(newest))
    }

    /// The newest checkpoint that a witness cosigned.
    ///
    /// # Errors
    /// A refusal when there is none, or the store cannot be read.
    pub async fn cosigned(&self) -> Result<Checkpoint, Refusal> {
        let none = || Refusal::because(Code::NotFound, "checkpoint_not_cosigned", "no witness has cosigned one yet");
        self.log.cosigned().await?.ok_or_else(none)
    }

    /// What the tile of this name holds.
    ///
    /// # Errors
    /// A refusal when there is no such name, the log is not as long, or the store cannot be read.
    pub async fn tile(&self, name: &str) -> Result<(TilePath, Vec<u8>), Refusal> {
        let path: TilePath = name
            .parse()
            .map_err(|error| Refusal::because(Code::RequestMalformed, "tile_name_invalid", format!("{error}")))?;
        let absent = || {
            let detail = "the log has no such tile (yet); its newest checkpoint says how long it is";
            Refusal::because(Code::NotFound, "tile_not_found", detail)
        };
        if !path.is_in(self.log.newest().await?.size()) {
            return Err(absent());
        }
        let bytes = match path.kind {
            TileKind::Hashes(level) => self.log.hashes(level, path.first(), path.width).await?.concat(),
            TileKind::Entries => {
                let bodies = self.log.bodies(path.first(), path.width).await?;
                let whole = bodies.len() == usize::from(path.width);
                let bundle = entry_bundle(bodies.iter().map(Vec::as_slice)).filter(|_| whole);
                return bundle.map(|bundle| (path, bundle)).ok_or_else(absent);
            }
        };
        if bytes.len() == usize::from(path.width) * 32 { Ok((path, bytes)) } else { Err(absent()) }
    }
}
