//! Who we are and whom we trust, kept fresh while the services run.
//!
//! ```text
//! files (PEM) ─┐                                            ┌▶ SvidSource of each door     every handshake
//!              ├▶ Material ▶ Identities::offer ─ all or none ┤
//! Workload API ┘                                            ├▶ bundles of the doors        every handshake, every request
//! bundle endpoints ▶ Identities::offer_federated ───────────┴▶ bundles of approvers        every statement
//! ```
//!
//! A source hands in what it has; [`Identities`] takes it whole or keeps the last good one. What a source has not
//! confirmed for longer than its age limit is not believed any more: a federated bundle is taken out, and where it is our
//! own the doors close ([`Identities::problem`]) until the source is heard again. Silence of a source is therefore never
//! mistaken for "nothing changed".
//!
//! Not here: which identities may do what ([`crate::service::access`]); what is verified with the bundles
//! ([`crate::domain::spiffe`]); JWT-SVIDs of ours.
//!
//! INVARIANT: a chain and its key change together, and only to a pair that our own bundle vouches for.

mod federated;
mod federation;
mod files;
mod kept;
mod material;
mod news;
mod workload_api;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;

use super::tls::{SharedTrust, SvidSource};
use crate::domain::spiffe::{
    JwtBundle, JwtBundles, Purpose, SpiffeId, TrustBundle, TrustBundles, TrustDomain, UnverifiedSvid,
};
use crate::domain::time::Timestamp;
use crate::service::ports::Clock;

pub use federated::{FederatedBundle, FederatedRefused};
pub use federation::{
    BundleEndpoint, EndpointProfile, EndpointSetup, EndpointSetupError, FederatedFile, FederatedFileError,
};
pub use files::{FileSource, FileSourceError};
pub use kept::KeptBundles;
pub use material::{IdentitySettings, Material, Refused};
pub use news::{News, Stale, Tell};
pub use workload_api::{WorkloadApi, WorkloadApiProblem};

use federated::Federated;

/// The identities of our doors and the bundles in force.
pub struct Identities {
    settings: IdentitySettings,
    clock: Arc<dyn Clock>,
    svids: BTreeMap<SpiffeId, Arc<SvidSource>>,
    held: Mutex<Held>,
    /// Until when nothing can be wrong but what somebody tells us: milliseconds. One load a request.
    fresh_until: AtomicU64,
    at_doors: SharedTrust,
    approving: SharedTrust,
    all: SharedTrust,
    jwt: ArcSwap<JwtBundles>,
}

struct Held {
    own: TrustBundle,
    confirmed_at: Timestamp,
    own_jwt: Option<(JwtBundle, Timestamp)>,
    federated: BTreeMap<TrustDomain, Federated>,
    /// Whether our own bundle vouches for every SVID of ours.
    vouched: bool,
    /// What was last said of the doors.
    told: Option<Stale>,
}

impl Identities {
    /// With what a source has at the start.
    ///
    /// # Errors
    /// When that is not enough to open a door.
    pub fn open(settings: IdentitySettings, first: Material, clock: Arc<dyn Clock>) -> Result<Self, Refused> {
        let now = clock.now();
        let (own, identities) = settings.judge(first, now)?;
        let holding = |(id, identity)| (id, Arc::new(SvidSource::holding(identity)));
        let svids = identities.into_iter().map(holding).collect();
        let held =
            Held { own, confirmed_at: now, own_jwt: None, federated: BTreeMap::new(), vouched: true, told: None };
        let identities = Self {
            settings,
            clock,
            svids,
            held: Mutex::new(held),
            fresh_until: AtomicU64::new(0),
            at_doors: SharedTrust::default(),
            approving: SharedTrust::default(),
            all: SharedTrust::default(),
            jwt: ArcSwap::default(),
        };
        identities.publish(&identities.lock());
        Ok(identities)
    }

    /// The SVID of one of our doors.
    pub fn svid(&self, id: &SpiffeId) -> Option<Arc<SvidSource>> {
        self.svids.get(id).cloned()
    }

    /// The SVIDs of our doors.
    pub fn svids(&self) -> impl Iterator<Item = &Arc<SvidSource>> {
        self.svids.values()
    }

    /// Against what callers are verified: nobody gets in because a domain is merely federated.
    pub fn at_doors(&self) -> SharedTrust {
        Arc::clone(&self.at_doors)
    }

    /// Against what approvals are verified.
    pub fn approving(&self) -> SharedTrust {
        Arc::clone(&self.approving)
    }

    /// Every bundle, for connections of ours to workloads of any domain that we know.
    pub fn all(&self) -> SharedTrust {
        Arc::clone(&self.all)
    }

    /// The keys that sign JWT-SVIDs, of every domain that we know.
    pub fn jwt_bundles(&self) -> Arc<JwtBundles> {
        self.jwt.load_full()
    }

    /// Takes what a source has, whole.
    ///
    /// # Errors
    /// When it cannot be used; what was there stays.
    pub fn offer(&self, material: Material) -> Result<Vec<News>, Refused> {
        let now = self.clock.now();
        let (own, identities) = self.settings.judge(material, now)?;
        let mut held = self.lock();
        let mut news = held.replace_own(own, now);
        held.vouched = true;
        // The bundle first: whoever is handed the new SVID in a handshake may already be of the new authority too.
        self.publish(&held);
        for (id, identity) in identities {
            let Some(source) = self.svids.get(&id) else { continue };
            if source.current().svid().leaf_der() == identity.svid().leaf_der() {
                continue;
            }
            news.push(News::SvidRotated { id, expires_at: identity.svid().expires_at() });
            source.replace(identity);
        }
        self.publish(&held);
        Ok(news)
    }

    /// Takes our own authorities alone. They hold even when they do not vouch for our SVID any more: then the doors are
    /// closed until there is one that they do.
    ///
    /// # Errors
    /// When they cannot be used; what was there stays.
    pub fn offer_bundle(&self, own: TrustBundle) -> Result<Vec<News>, Refused> {
        let now = self.clock.now();
        self.settings.judge_bundle(&own, now)?;
        let mut held = self.lock();
        let news = held.replace_own(own, now);
        let bundles = TrustBundles::from(held.own.clone());
        held.vouched = self.svids.values().all(|source| {
            let parsed = UnverifiedSvid::parse(source.current().svid().chain_der());
            parsed.and_then(|svid| bundles.verify(svid, Purpose::Server, now)).is_ok()
        });
        self.publish(&held);
        Ok(news)
    }

    /// Takes the keys of our own domain's JWT-SVIDs.
    pub fn offer_jwt(&self, bundle: JwtBundle) {
        let mut held = self.lock();
        held.own_jwt = Some((bundle, self.clock.now()));
        self.publish(&held);
    }

    /// Takes what a federated domain says of itself.
    ///
    /// # Errors
    /// When it goes back, or cannot be used; what was there stays.
    pub fn offer_federated(&self, bundle: FederatedBundle) -> Result<Vec<News>, FederatedRefused> {
        let mut held = self.lock();
        let news = self.settings.take_federated(&mut held.federated, bundle, self.clock.now())?;
        self.publish(&held);
        Ok(news)
    }

    /// Takes the JWT keys of a domain that is federated, where they come apart from its authorities.
    pub fn offer_federated_jwt(&self, bundle: JwtBundle) {
        let mut held = self.lock();
        if let Some(federated) = held.federated.get_mut(bundle.domain()) {
            federated.jwt = Some(bundle);
        }
        self.publish(&held);
    }

    /// A federated domain is none any more.
    pub fn forget_federated(&self, domain: &TrustDomain) -> Vec<News> {
        let mut held = self.lock();
        let gone = held.federated.remove(domain).is_some();
        self.publish(&held);
        if gone { vec![News::FederatedDropped { domain: domain.clone(), reason: "removed" }] } else { Vec::new() }
    }

    /// Why the doors are closed, if they are. Cheap while nothing is wrong.
    pub fn problem(&self) -> Option<Stale> {
        let now = self.clock.now();
        if now.as_millis() < self.fresh_until.load(Ordering::Acquire) {
            return None;
        }
        self.lock().problem(&self.settings, &self.svids, now)
    }

    /// Takes out what became too old, and says what has changed since the last look. Called by a timer.
    pub fn look(&self) -> Vec<News> {
        let now = self.clock.now();
        let mut held = self.lock();
        let mut news = Vec::new();
        for (domain, federated) in &mut held.federated {
            if federated.goes_stale(now) {
                news.push(News::FederatedDropped { domain: domain.clone(), reason: "stale" });
            }
        }
        self.publish(&held);
        let problem = held.problem(&self.settings, &self.svids, now);
        match (&held.told, &problem) {
            (None, Some(stale)) => news.push(News::Closed(stale.clone())),
            (Some(_), None) => news.push(News::Opened),
            _ => {}
        }
        held.told = problem;
        news
    }

    /// How long ago our own bundle was confirmed, and each federated one.
    pub fn ages(&self) -> (Duration, BTreeMap<TrustDomain, Duration>) {
        let now = self.clock.now();
        let held = self.lock();
        let federated = held.federated.iter().map(|(domain, one)| (domain.clone(), now.since(one.confirmed_at)));
        (now.since(held.confirmed_at), federated.collect())
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn publish(&self, held: &Held) {
        let now = self.clock.now();
        let fresh: Vec<_> = held.federated.values().filter(|one| one.is_fresh(now)).collect();
        let with = |admitted: &dyn Fn(&TrustDomain) -> bool| {
            let federated = fresh.iter().filter_map(|one| one.x509.as_ref()).filter(|one| admitted(one.domain()));
            Arc::new(TrustBundles::new(federated.chain([&held.own]).cloned()))
        };
        self.all.store(with(&|_| true));
        self.at_doors.store(with(&|domain| self.settings.at_doors.contains(domain)));
        self.approving.store(with(&|domain| self.settings.approving.contains(domain)));
        let own = held.own_jwt.iter().filter(|(_, at)| now.since(*at) <= self.settings.max_age).map(|(own, _)| own);
        self.jwt.store(Arc::new(JwtBundles::new(fresh.iter().filter_map(|one| one.jwt.as_ref()).chain(own).cloned())));
        self.fresh_until.store(held.fresh_until(&self.settings, &self.svids, now).as_millis(), Ordering::Release);
    }
}

impl std::fmt::Debug for Identities {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identities").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Held {
    fn replace_own(&mut self, own: TrustBundle, now: Timestamp) -> Vec<News> {
        let changed = own.fingerprint() != self.own.fingerprint();
        (self.own, self.confirmed_at) = (own, now);
        if changed { vec![News::bundle_rotated(&self.own, None)] } else { Vec::new() }
    }

    /// The end of what is known to be good; in the past if something is not.
    fn fresh_until(
        &self,
        settings: &IdentitySettings,
        svids: &BTreeMap<SpiffeId, Arc<SvidSource>>,
        now: Timestamp,
    ) -> Timestamp {
        if !self.vouched {
            return Timestamp::from_millis(0);
        }
        let authorities = self.own.valid_until(now).unwrap_or(Timestamp::from_millis(0));
        let ends = svids.values().map(|source| source.current().svid().expires_at());
        ends.chain([authorities, self.confirmed_at.plus(settings.max_age)]).min().unwrap_or(authorities)
    }

    fn problem(
        &self,
        settings: &IdentitySettings,
        svids: &BTreeMap<SpiffeId, Arc<SvidSource>>,
        now: Timestamp,
    ) -> Option<Stale> {
        if now.since(self.confirmed_at) > settings.max_age {
            return Some(Stale::TrustBundleStale { since: self.confirmed_at });
        }
        if self.own.valid_until(now).is_none() {
            return Some(Stale::TrustBundleExpired);
        }
        for (id, source) in svids {
            let until = source.current().svid().expires_at();
            if until <= now {
                return Some(Stale::SvidExpired { id: id.clone(), at: until });
            }
        }
        (!self.vouched).then_some(Stale::SvidNotVouchedFor)
    }
}
