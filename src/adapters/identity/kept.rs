//! Bundles of federated domains, kept over a restart: without the last one, an endpoint that changed its authority since
//! its first bundle was configured could not be believed again, and an older bundle could follow a newer one.
//!
//! One file a trust domain: when it was fetched, and the document as it came. It is read as strictly as the network.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::adapters::pem;
use crate::domain::json;
use crate::domain::spiffe::TrustDomain;
use crate::domain::time::Timestamp;

/// A folder of kept bundles.
#[derive(Debug, Clone)]
pub struct KeptBundles(PathBuf);

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    fetched_at: Timestamp,
    document: String,
}

impl KeptBundles {
    /// In `folder`, which is made when there is something to keep.
    pub fn new(folder: PathBuf) -> Self {
        Self(folder)
    }

    /// The last good document of `domain`, and when it was fetched; none if there is none that can be read.
    pub fn load(&self, domain: &TrustDomain) -> Option<(Timestamp, Vec<u8>)> {
        let bytes = pem::read_small(&self.path(domain)).ok()?;
        let kept: Kept = json::parse_as(&bytes).ok()?;
        Some((kept.fetched_at, kept.document.into_bytes()))
    }

    /// Keeps a document, whole or not at all. Blocks.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn keep(&self, domain: &TrustDomain, fetched_at: Timestamp, document: &[u8]) -> std::io::Result<()> {
        let document = String::from_utf8_lossy(document).into_owned();
        let text = serde_json::to_vec(&Kept { fetched_at, document }).map_err(std::io::Error::other)?;
        std::fs::create_dir_all(&self.0)?;
        replace(&self.path(domain), &text)
    }

    fn path(&self, domain: &TrustDomain) -> PathBuf {
        // `a-z 0-9 . - _`, and the suffix keeps `..` from being a folder.
        self.0.join(format!("{domain}.json"))
    }
}

/// Writes a file that readers see whole, the old one or the new one.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut draft = path.as_os_str().to_owned();
    draft.push(".new");
    std::fs::write(&draft, bytes)?;
    std::fs::rename(&draft, path)
}
