//! Bundles of other trust domains: which one follows which, and for how long one is believed.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{IdentitySettings, News};
use crate::domain::id::Sha256Digest;
use crate::domain::spiffe::{JwtBundle, TrustBundle, TrustDomain};
use crate::domain::time::Timestamp;

/// What somebody handed in for a federated domain.
#[derive(Debug, Clone)]
pub struct FederatedBundle {
    /// Whose.
    pub domain: TrustDomain,
    /// Its X.509 authorities, if it has any.
    pub x509: Option<TrustBundle>,
    /// Its JWT keys, if they came with it.
    pub jwt: Option<JwtBundle>,
    /// Its sequence, where its publisher counts.
    pub sequence: Option<u64>,
    /// Of the document, where there is one: two documents of one sequence must be the same.
    pub digest: Option<Sha256Digest>,
    /// When it was confirmed, if not now.
    pub confirmed_at: Option<Timestamp>,
    /// For how long it is believed.
    pub max_age: Duration,
}

/// Why a bundle of a federated domain was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FederatedRefused {
    /// Our own domain cannot be federated.
    #[error("`{0}` is our own trust domain")]
    Own(TrustDomain),
    /// An authority of `atb init`, in production.
    #[error("the bundle of `{0}` holds an authority made by `atb init`")]
    DevelopmentAuthority(TrustDomain),
    /// An earlier bundle than the one in force.
    #[error("the bundle of `{domain}` has sequence {offered}, that in force has {held}: it was rolled back")]
    RolledBack {
        /// Whose.
        domain: TrustDomain,
        /// What came.
        offered: u64,
        /// What there is.
        held: u64,
    },
    /// The bundle in force has a sequence, this one has none.
    #[error("the bundle of `{0}` has no sequence any more")]
    SequenceGone(TrustDomain),
    /// Other content under the same sequence.
    #[error("the bundle of `{domain}` changed and its sequence is still {sequence}")]
    SequenceReused {
        /// Whose.
        domain: TrustDomain,
        /// The sequence.
        sequence: u64,
    },
}

impl FederatedRefused {
    /// The stable name of this fact.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Own(_) => "own_trust_domain",
            Self::DevelopmentAuthority(_) => "development_authority",
            Self::RolledBack { .. } => "rolled_back",
            Self::SequenceGone(_) => "sequence_gone",
            Self::SequenceReused { .. } => "sequence_reused",
        }
    }
}

/// What is held of a federated domain. It stays when it has become stale: its sequence is not forgotten.
pub(super) struct Federated {
    pub(super) x509: Option<TrustBundle>,
    pub(super) jwt: Option<JwtBundle>,
    pub(super) confirmed_at: Timestamp,
    max_age: Duration,
    sequence: Option<u64>,
    digest: Option<Sha256Digest>,
    told_stale: bool,
}

impl Federated {
    pub(super) fn is_fresh(&self, now: Timestamp) -> bool {
        now.since(self.confirmed_at) <= self.max_age
    }

    /// Whether it is stale and nobody was told.
    pub(super) fn goes_stale(&mut self, now: Timestamp) -> bool {
        let news = !self.is_fresh(now) && !self.told_stale;
        self.told_stale |= news;
        news
    }
}

impl IdentitySettings {
    pub(super) fn take_federated(
        &self,
        all: &mut BTreeMap<TrustDomain, Federated>,
        offered: FederatedBundle,
        now: Timestamp,
    ) -> Result<Vec<News>, FederatedRefused> {
        let FederatedBundle { domain, x509, jwt, sequence, digest, confirmed_at, max_age } = offered;
        if domain == self.domain {
            return Err(FederatedRefused::Own(domain));
        }
        if !self.dev_authorities && x509.as_ref().is_some_and(TrustBundle::is_for_development) {
            return Err(FederatedRefused::DevelopmentAuthority(domain));
        }
        let held = all.get(&domain);
        match (held.and_then(|held| held.sequence), sequence) {
            (Some(_), None) => return Err(FederatedRefused::SequenceGone(domain)),
            (Some(held), Some(offered)) if offered < held => {
                return Err(FederatedRefused::RolledBack { domain, offered, held });
            }
            (Some(old), Some(sequence)) if old == sequence && held.is_some_and(|held| held.digest != digest) => {
                return Err(FederatedRefused::SequenceReused { domain, sequence });
            }
            _ => {}
        }
        let fingerprint = |bundle: &Option<TrustBundle>| bundle.as_ref().map(TrustBundle::fingerprint);
        let before = held.map(|held| fingerprint(&held.x509));
        // JWT keys may come by another stream than the authorities.
        let jwt = jwt.or_else(|| held.and_then(|held| held.jwt.clone()));
        let news = match &x509 {
            Some(bundle) if before != Some(Some(bundle.fingerprint())) => vec![News::bundle_rotated(bundle, sequence)],
            _ => Vec::new(),
        };
        let confirmed_at = confirmed_at.unwrap_or(now).min(now);
        let federated = Federated { x509, jwt, confirmed_at, max_age, sequence, digest, told_stale: false };
        all.insert(domain, federated);
        Ok(news)
    }
}
