//! Where bundles come from: a folder, an archive, an endpoint of OPA's bundle API.
//!
//! A source is looked at again and again. It says what it found when that differs from what it found before, and nothing
//! else: whether to believe it (signature, expiry, sequence, pin) and to activate it is for who looks. Everything read is
//! bounded; nothing here parses Rego.

mod endpoint;
mod folder;
mod last_good;

use std::path::PathBuf;

use super::bundle_archive::{self, ArchiveError, BundleReadError, MAX_ARCHIVE_BYTES};

use super::outgoing::{OutgoingError, OutgoingSetupError, SecretError};
use crate::config::{SourceConfig, SourcePlace};
use crate::domain::id::Sha256Digest;
use crate::domain::policy::bundle::UnverifiedArchive;

use endpoint::Endpoint;
pub use last_good::LastGood;

/// What a source has.
pub struct Found {
    /// Files and signatures, not believed yet.
    pub archive: UnverifiedArchive,
    /// The archive as it came, to be kept; none of a folder.
    pub bytes: Option<Vec<u8>>,
    /// Which kind of place it came from.
    pub origin: Origin,
}

/// The kinds of places, by their names in records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A folder.
    Folder,
    /// An archive on disk.
    Archive,
    /// An endpoint.
    Endpoint,
    /// The last good archive, kept on disk.
    LastGood,
}

impl Origin {
    /// The name as written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Folder => "folder",
            Self::Archive => "archive",
            Self::Endpoint => "endpoint",
            Self::LastGood => "last_good",
        }
    }
}

/// What came of a look.
pub enum Look {
    /// The same as at the look before.
    Same,
    /// Something else.
    Found(Box<Found>),
}

/// Why a look gave nothing. What is in force stays, and the source is looked at again.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// A folder cannot be read, or is not one of a bundle.
    #[error(transparent)]
    Folder(#[from] BundleReadError),
    /// A folder is being written.
    #[error("`{}` changes while it is read: write beside it and rename", .0.display())]
    Unsettled(PathBuf),
    /// A file cannot be read.
    #[error("cannot read `{}`: {source}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// An archive is malformed, or beyond its limits.
    #[error("the archive is refused: {error}")]
    Archive {
        /// Of the archive's bytes.
        digest: Sha256Digest,
        /// Why.
        error: ArchiveError,
    },
    /// An endpoint does not answer.
    #[error("the endpoint does not answer: {0}")]
    Unreachable(#[from] OutgoingError),
    /// An endpoint answers something else than a bundle.
    #[error("the endpoint answers with status {0}")]
    Status(u16),
    /// The token cannot be read.
    #[error("the endpoint's token: {0}")]
    Token(#[from] SecretError),
    /// Nothing was found in time.
    #[error("nothing in time")]
    Timeout,
}

/// A source that cannot be looked at.
#[derive(Debug, thiserror::Error)]
pub enum SourceSetupError {
    /// Its URL.
    #[error("`{0}` is not a URL")]
    Url(String),
    /// Its TLS.
    #[error(transparent)]
    Outgoing(#[from] OutgoingSetupError),
}

/// One source, and what it had at the last look.
pub struct Source {
    place: Place,
    seen: Option<Sha256Digest>,
    /// Whether the start is over.
    running: bool,
}

enum Place {
    Folder(PathBuf),
    Archive(PathBuf),
    Endpoint(Box<Endpoint>),
}

impl Source {
    /// The source that the configuration names.
    ///
    /// # Errors
    /// When an endpoint cannot be asked at all.
    pub fn new(config: &SourceConfig, dev: bool) -> Result<Self, SourceSetupError> {
        let place = match &config.place {
            SourcePlace::Folder(path) => Place::Folder(path.clone()),
            SourcePlace::Archive(path) => Place::Archive(path.clone()),
            SourcePlace::Endpoint(url) => Place::Endpoint(Box::new(Endpoint::new(url, config, dev)?)),
        };
        Ok(Self { place, seen: None, running: false })
    }

    /// Looks. With `patiently` an endpoint that can may wait until it has something else. Dropping the future changes
    /// nothing of what the next look finds.
    ///
    /// # Errors
    /// As the variants of [`SourceError`] say.
    pub async fn look(&mut self, patiently: bool) -> Result<Look, SourceError> {
        match &mut self.place {
            Place::Folder(path) => {
                let (path, seen, settle) = (path.clone(), self.seen, self.running);
                let read = blocking(move || folder::read_settled(&path, seen, settle)).await?;
                self.running = true;
                let Some((digest, archive)) = read else { return Ok(Look::Same) };
                self.seen = Some(digest);
                Ok(Look::Found(Box::new(Found { archive, bytes: None, origin: Origin::Folder })))
            }
            Place::Archive(path) => {
                let path = path.clone();
                let bytes = blocking(move || last_good::read_bounded(&path)).await?;
                self.archive(bytes, Origin::Archive)
            }
            Place::Endpoint(endpoint) => match endpoint.fetch(patiently).await? {
                Some(bytes) => self.archive(bytes, Origin::Endpoint),
                None => Ok(Look::Same),
            },
        }
    }

    /// Whether the next look may be at once, because the source itself waits for news.
    pub fn waits_for_news(&self) -> bool {
        matches!(&self.place, Place::Endpoint(endpoint) if endpoint.polls_long())
    }

    /// Whether it is behind a network.
    pub fn is_remote(&self) -> bool {
        matches!(self.place, Place::Endpoint(_))
    }

    /// The next look takes whatever there is for new.
    pub fn forget(&mut self) {
        self.seen = None;
        if let Place::Endpoint(endpoint) = &mut self.place {
            endpoint.forget();
        }
    }

    fn archive(&mut self, bytes: Vec<u8>, origin: Origin) -> Result<Look, SourceError> {
        let digest = Sha256Digest::of(&bytes);
        if self.seen == Some(digest) {
            return Ok(Look::Same);
        }
        self.seen = Some(digest);
        Ok(Look::Found(Box::new(open(bytes, digest, origin)?)))
    }
}

fn open(bytes: Vec<u8>, digest: Sha256Digest, origin: Origin) -> Result<Found, SourceError> {
    let archive = bundle_archive::read(&bytes).map_err(|error| SourceError::Archive { digest, error })?;
    Ok(Found { archive, bytes: Some(bytes), origin })
}

/// Files are read beside the runtime. A read that panics is a read that failed.
async fn blocking<T: Send + 'static>(
    read: impl FnOnce() -> Result<T, SourceError> + Send + 'static,
) -> Result<T, SourceError> {
    tokio::task::spawn_blocking(read).await.unwrap_or(Err(SourceError::Timeout))
}

/// One byte more than an archive has, so that a longer one shows.
fn bound() -> u64 {
    u64::try_from(MAX_ARCHIVE_BYTES).unwrap_or(u64::MAX).saturating_add(1)
}
