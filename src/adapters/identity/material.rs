//! What a source hands in, and when it is taken.

use std::collections::BTreeSet;
use std::time::Duration;

use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::adapters::tls::{Identity, NotAnIdentity};
use crate::domain::spiffe::{Purpose, SpiffeId, TrustBundle, TrustBundles, TrustDomain, UnverifiedSvid};
use crate::domain::time::Timestamp;

/// What is asked of identities, from the configuration.
#[derive(Debug, Clone)]
pub struct IdentitySettings {
    /// Our trust domain.
    pub domain: TrustDomain,
    /// Who our doors are; a source must have an SVID for each.
    pub ids: Vec<SpiffeId>,
    /// How long what a source said is believed without its saying it again.
    pub max_age: Duration,
    /// Whether authorities made by `atb init` are taken.
    pub dev_authorities: bool,
    /// The trust domains whose workloads may come to a door, besides ours.
    pub at_doors: BTreeSet<TrustDomain>,
    /// The trust domains whose people may approve, besides ours.
    pub approving: BTreeSet<TrustDomain>,
}

/// Everything that a source has at one moment.
pub struct Material {
    /// Our own authorities.
    pub bundle: TrustBundle,
    /// Chains, leaf first, each with its key; in any order, for whichever identities the source has.
    pub svids: Vec<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>,
}

/// Why what a source handed in was not taken.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Refused {
    /// It is for another trust domain than ours.
    #[error("the trust bundle is that of `{0}`")]
    ForeignBundle(TrustDomain),
    /// An authority of `atb init`, in production.
    #[error("the trust bundle holds an authority made by `atb init`: its key lies in a file, production refuses it")]
    DevelopmentAuthority,
    /// No authority is valid now.
    #[error("every authority in the trust bundle has expired")]
    ExpiredBundle,
    /// None of the SVIDs is the one of this identity.
    #[error("there is no SVID of `{wanted}`; there {}", listed(.found))]
    NoSvid {
        /// The identity of a door.
        wanted: SpiffeId,
        /// Whom the SVIDs are of.
        found: Vec<SpiffeId>,
    },
    /// Peers would not accept it.
    #[error("the SVID of `{id}` is refused: {source}")]
    Svid {
        /// Whose.
        id: SpiffeId,
        /// Why.
        source: NotAnIdentity,
    },
}

fn listed(ids: &[SpiffeId]) -> String {
    match ids {
        [] => "is none at all".to_owned(),
        ids => format!("is {}", ids.iter().map(|id| format!("`{id}`")).collect::<Vec<_>>().join(", ")),
    }
}

impl Refused {
    /// The stable name of this fact, for metrics.
    pub fn code(&self) -> &'static str {
        match self {
            Self::ForeignBundle(_) => "foreign_bundle",
            Self::DevelopmentAuthority => "development_authority",
            Self::ExpiredBundle => "trust_bundle_expired",
            Self::NoSvid { .. } => "no_svid",
            Self::Svid { source: NotAnIdentity::Svid(error), .. } => error.code(),
            Self::Svid { source: NotAnIdentity::Key, .. } => "svid_key_mismatch",
        }
    }
}

impl IdentitySettings {
    /// Whether `bundle` may be our own.
    ///
    /// # Errors
    /// When it is another domain's, for development in production, or has expired.
    pub fn judge_bundle(&self, bundle: &TrustBundle, now: Timestamp) -> Result<(), Refused> {
        if *bundle.domain() != self.domain {
            return Err(Refused::ForeignBundle(bundle.domain().clone()));
        }
        if bundle.is_for_development() && !self.dev_authorities {
            return Err(Refused::DevelopmentAuthority);
        }
        bundle.valid_until(now).map(drop).ok_or(Refused::ExpiredBundle)
    }

    pub(super) fn judge(
        &self,
        material: Material,
        now: Timestamp,
    ) -> Result<(TrustBundle, Vec<(SpiffeId, Identity)>), Refused> {
        let Material { bundle, svids } = material;
        self.judge_bundle(&bundle, now)?;
        let trust = TrustBundles::from(bundle);
        let claimed = |chain: &[CertificateDer<'_>]| UnverifiedSvid::parse(chain).ok().map(|s| s.claimed_id().clone());
        let found: Vec<_> = svids.iter().filter_map(|(chain, _)| claimed(chain)).collect();
        let mut svids: Vec<_> = svids.into_iter().map(|(chain, key)| (claimed(&chain), chain, key)).collect();
        let mut identities = Vec::new();
        for wanted in &self.ids {
            let at = svids.iter().position(|(id, _, _)| id.as_ref() == Some(wanted));
            let missing = || Refused::NoSvid { wanted: wanted.clone(), found: found.clone() };
            let (_, chain, key) = svids.swap_remove(at.ok_or_else(missing)?);
            let identity = Identity::verified(chain, key, Purpose::Server, &trust, now)
                .map_err(|source| Refused::Svid { id: wanted.clone(), source })?;
            identities.push((wanted.clone(), identity));
        }
        // There is one bundle in it, that of our domain.
        let own = trust.bundle(&self.domain).cloned().ok_or(Refused::ExpiredBundle)?;
        Ok((own, identities))
    }
}
