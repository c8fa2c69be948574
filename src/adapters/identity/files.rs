//! The file source: PEM files that something else keeps fresh (cert-manager, a SPIFFE helper, `atb init`).
//!
//! Looked at every second, by content and not by time stamp, so that a replaced symbolic link counts as a change. A look
//! that fails changes nothing: half written files, a chain whose key is still to come and a missing file all leave the
//! last good ones in force, until they are too old.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::news::Trouble;
use super::{Identities, Material, Refused, Tell};
use crate::adapters::pem::{self, KeyPermissions, PemFileError};
use crate::domain::spiffe::{JwtBundle, JwtBundleError, TrustDomain};

/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// The name of this source in metrics and logs.
const SOURCE: &str = "files";

/// The files of our own identities.
#[derive(Debug, Clone)]
pub struct FileSource {
    /// Our trust domain.
    pub domain: TrustDomain,
    /// Its authorities.
    pub bundle: PathBuf,
    /// Chain and key of each door.
    pub svids: Vec<(PathBuf, PathBuf)>,
    /// The keys of our domain's JWT-SVIDs (a JWK set), if there are any.
    pub jwt_bundle: Option<PathBuf>,
}

/// Why the files cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FileSourceError {
    /// One of them.
    #[error(transparent)]
    File(#[from] PemFileError),
    /// What is in them.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The JWT keys.
    #[error("the JWT bundle `{}` is refused", path.display())]
    Jwt {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: JwtBundleError,
    },
}

impl FileSourceError {
    fn code(&self) -> &'static str {
        match self {
            Self::File(_) => "file_unusable",
            Self::Refused(refused) => refused.code(),
            Self::Jwt { source, .. } => source.code(),
        }
    }
}

impl FileSource {
    /// What the files hold now. Blocks.
    ///
    /// # Errors
    /// When one of them cannot be read.
    pub fn read(&self) -> Result<Material, PemFileError> {
        let pair = |(svid, key): &(PathBuf, PathBuf)| {
            // The key first: where a chain is replaced after its key, what is read then does not fit and is refused.
            let key = pem::read_private_key(key, KeyPermissions::OwnerOnly)?;
            Ok((pem::read_certificates(svid)?, key))
        };
        let svids = self.svids.iter().map(pair).collect::<Result<_, PemFileError>>()?;
        Ok(Material { bundle: pem::read_bundle(&self.bundle, self.domain.clone())?, svids })
    }

    /// The JWT keys, where there are any. Blocks.
    ///
    /// # Errors
    /// When the file cannot be read or is refused.
    pub fn read_jwt(&self) -> Result<Option<JwtBundle>, FileSourceError> {
        let Some(path) = &self.jwt_bundle else { return Ok(None) };
        let bytes = pem::read_small(path)?;
        let parsed = JwtBundle::parse(self.domain.clone(), &bytes);
        parsed.map(Some).map_err(|source| FileSourceError::Jwt { path: path.clone(), source })
    }

    /// Looks at the files for as long as the services run.
    pub async fn watch(self, identities: Arc<Identities>, tell: Tell) {
        let mut trouble = Trouble::default();
        let source = Arc::new(self);
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let (looking, at) = (Arc::clone(&source), Arc::clone(&identities));
            let looked = tokio::task::spawn_blocking(move || looking.look(&at)).await;
            match looked {
                Ok(Ok(news)) => {
                    trouble.over(SOURCE);
                    tell.news(news).await;
                }
                Ok(Err(error)) => {
                    tell.failed(SOURCE, error.code());
                    trouble.with(SOURCE, error.code(), &format!("{:#}", anyhow::Error::new(error)));
                }
                // The runtime is shutting down.
                Err(_) => return,
            }
        }
    }

    fn look(&self, identities: &Identities) -> Result<Vec<super::News>, FileSourceError> {
        let news = identities.offer(self.read()?)?;
        if let Some(jwt) = self.read_jwt()? {
            identities.offer_jwt(jwt);
        }
        Ok(news)
    }
}
