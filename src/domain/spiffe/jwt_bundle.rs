//! The keys that JWT-SVIDs are verified with, by trust domain (SPIFFE Trust Domain and Bundle §4, JWT-SVID §5).
//!
//! A bundle is a JWK set whose JWT authorities have `use` `jwt-svid`; other keys in it (`x509-svid`, and what later
//! versions of the standard add) are passed over here. A domain's tokens are verified with the keys of that domain only.

use std::collections::BTreeMap;

use super::TrustDomain;
use super::document::{self, DocumentError};
use crate::domain::json::{self, JsonError};
use crate::domain::jwt::{JwtKey, JwtKeyError, JwtKeys};

/// The largest document.
const MAX_BYTES: usize = 512 * 1024;
/// `use` of a JWT authority (Trust Domain and Bundle §4.2.2).
const USE: &str = "jwt-svid";

/// Why a document is not a bundle of JWT authorities.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JwtBundleError {
    /// More than 512 KiB.
    #[error("the bundle is larger than {MAX_BYTES} bytes")]
    TooLarge,
    /// Not strict JSON.
    #[error("the bundle is not JSON: {0}")]
    Json(#[from] JsonError),
    /// A key that does not hold, or none with `use` `jwt-svid`.
    #[error("the keys with `use` `jwt-svid`: {0}")]
    Keys(#[from] JwtKeyError),
}

impl JwtBundleError {
    /// The stable name of this defect.
    pub fn code(&self) -> &'static str {
        match self {
            Self::TooLarge => "bundle_too_large",
            Self::Json(_) => "bundle_not_a_document",
            Self::Keys(_) => "bundle_key_refused",
        }
    }
}

/// The JWT authorities of one trust domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JwtBundle {
    domain: TrustDomain,
    keys: JwtKeys,
}

impl JwtBundle {
    /// Reads a SPIFFE bundle document.
    ///
    /// # Errors
    /// As the variants of [`JwtBundleError`] say.
    pub fn parse(domain: TrustDomain, document: &[u8]) -> Result<Self, JwtBundleError> {
        if document.len() > MAX_BYTES {
            return Err(JwtBundleError::TooLarge);
        }
        let keys = JwtKeys::from_set(&json::parse(document)?, |purpose| purpose == Some(USE))?;
        Ok(Self { domain, keys })
    }

    /// From the keys that a Workload API hands out, each a JWK; `use` may be missing there.
    ///
    /// # Errors
    /// When one is broken.
    pub fn of_keys<'k>(domain: TrustDomain, keys: impl IntoIterator<Item = &'k [u8]>) -> Result<Self, DocumentError> {
        document::jwt_keys(keys).map(|keys| Self { domain, keys })
    }

    pub(super) fn new(domain: TrustDomain, keys: JwtKeys) -> Self {
        Self { domain, keys }
    }

    /// The trust domain.
    pub fn domain(&self) -> &TrustDomain {
        &self.domain
    }

    /// The key of that name.
    pub fn key(&self, kid: &str) -> Option<&JwtKey> {
        self.keys.find(kid)
    }

    /// How many keys there are.
    pub fn count(&self) -> usize {
        self.keys.count()
    }
}

/// Every trust domain that we know, with its JWT authorities.
#[derive(Debug, Clone, Default)]
pub struct JwtBundles {
    by_domain: BTreeMap<TrustDomain, JwtBundle>,
}

impl JwtBundles {
    /// These bundles; a later one of the same domain replaces an earlier one.
    pub fn new(bundles: impl IntoIterator<Item = JwtBundle>) -> Self {
        Self { by_domain: bundles.into_iter().map(|bundle| (bundle.domain.clone(), bundle)).collect() }
    }

    /// The bundle of one domain.
    pub fn bundle(&self, domain: &TrustDomain) -> Option<&JwtBundle> {
        self.by_domain.get(domain)
    }

    /// The key of that name in one domain.
    pub fn key(&self, domain: &TrustDomain, kid: &str) -> Option<&JwtKey> {
        self.bundle(domain)?.key(kid)
    }
}
