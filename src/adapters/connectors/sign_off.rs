//! `<name>.sigs.json` beside `<name>.toml` or `<name>.yaml`: `{"signatures": [<JWS>, …]}`, the sign-offs of one connector file.
//!
//! The whole file is believed or none of it: one sign-off that does not hold refuses the connector, so that a stale or
//! foreign one is seen and not passed over.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::config::{Connector, Connectors, read_bounded};
use super::load_error::LoadError;
use crate::domain::approval::{self, ConnectorSigner, UnverifiedSignOff, VerifiedSignOff};
use crate::domain::json::{self, JsonError};
use crate::domain::spiffe::TrustBundles;
use crate::domain::time::Timestamp;

/// The largest file of sign-offs.
const MAX_BYTES: u64 = 128 * 1024;
/// The most sign-offs of one connector.
const MAX_SIGN_OFFS: usize = 8;

/// Where the sign-offs of a connector file stand.
pub fn signatures_file(connector: &Path) -> PathBuf {
    connector.with_extension("sigs.json")
}

/// Why a connector may not be used in production.
#[derive(Debug, thiserror::Error)]
pub enum SignOffError {
    /// The sign-offs cannot be read.
    #[error(transparent)]
    File(#[from] LoadError),
    /// They are not what such a file holds.
    #[error("`{}`: {source}", path.display())]
    Shape {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: JsonError,
    },
    /// More than any connector has.
    #[error("`{}` holds more than {MAX_SIGN_OFFS} sign-offs", .0.display())]
    TooMany(PathBuf),
    /// The connector is not signed off.
    #[error("`{}`: {source}; `atb connector sign` signs it", path.display())]
    Refused {
        /// The connector's file.
        path: PathBuf,
        /// Why not.
        source: approval::SignOffError,
    },
}

impl SignOffError {
    /// A stable code for records.
    pub fn code(&self) -> &'static str {
        match self {
            Self::File(_) => "sign_off_unreadable",
            Self::Shape { .. } | Self::TooMany(_) => "sign_off_malformed",
            Self::Refused { source, .. } => source.code(),
        }
    }
}

/// The file as written.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignatureFile {
    /// Compact JWS, each a sign-off.
    pub signatures: Vec<String>,
}

impl SignatureFile {
    /// Reads the sign-offs of `connector`; none where there is no file.
    ///
    /// # Errors
    /// When there is one and it cannot be used.
    pub fn of(connector: &Path) -> Result<Self, SignOffError> {
        let path = signatures_file(connector);
        if !path.exists() {
            return Ok(Self::default());
        }
        let text = read_bounded(&path, MAX_BYTES)?;
        let file: Self =
            json::parse_as(text.as_bytes()).map_err(|source| SignOffError::Shape { path: path.clone(), source })?;
        if file.signatures.len() > MAX_SIGN_OFFS { Err(SignOffError::TooMany(path)) } else { Ok(file) }
    }
}

/// By what sign-offs are judged.
pub struct SignOffs<'a> {
    /// Who may sign.
    pub signers: &'a [ConnectorSigner],
    /// Who vouches for them.
    pub trust: &'a TrustBundles,
    /// The time.
    pub now: Timestamp,
}

impl SignOffs<'_> {
    /// The sign-offs of one connector, each proven; whether they suffice is another question.
    ///
    /// # Errors
    /// When one does not hold.
    pub fn of(&self, connector: &Connector) -> Result<Vec<VerifiedSignOff>, SignOffError> {
        let refused = |source| SignOffError::Refused { path: connector.file.clone(), source };
        let file = SignatureFile::of(&connector.file)?;
        let proven = file.signatures.iter().map(|jws| {
            let sign_off = UnverifiedSignOff::parse(jws)?.verify(self.trust, self.now)?;
            sign_off.person(&connector.name, connector.digest, self.signers)?;
            Ok(sign_off)
        });
        proven.collect::<Result<_, approval::SignOffError>>().map_err(refused)
    }

    /// Whether both roles have signed this connector's exact bytes, by two people.
    ///
    /// # Errors
    /// When they have not.
    pub fn require(&self, connector: &Connector) -> Result<(), SignOffError> {
        let sign_offs = self.of(connector)?;
        approval::signed_off(&connector.name, connector.digest, &sign_offs, self.signers)
            .map_err(|source| SignOffError::Refused { path: connector.file.clone(), source })
    }

    /// [`Self::require`] for all of them.
    ///
    /// # Errors
    /// At the first that is not signed off.
    pub fn require_all(&self, connectors: &Connectors) -> Result<(), SignOffError> {
        connectors.iter().try_for_each(|connector| self.require(connector))
    }
}
