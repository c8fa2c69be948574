//! How fresh our identity and the bundles are. Trust domains are the operator's configuration, at most 33.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Unit;

use super::described::Described;
use crate::adapters::identity::News;
use crate::domain::spiffe::TrustDomain;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DoorLabels {
    door: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DomainLabels {
    trust_domain: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindLabels {
    kind: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FailureLabels {
    source: String,
    reason: &'static str,
}

/// The metrics of identities.
#[derive(Clone, Default)]
pub struct IdentityMetrics {
    expires_in: Family<DoorLabels, Gauge<f64, AtomicU64>>,
    age: Family<DomainLabels, Gauge<f64, AtomicU64>>,
    rotations: Family<KindLabels, Counter>,
    failures: Family<FailureLabels, Counter>,
    closed: Gauge,
}

impl IdentityMetrics {
    pub(super) fn register(&self, registry: &mut Described) {
        registry.register_with_unit(
            "svid_expires_in",
            "How long the SVID of a door is still good; 0 once it has expired",
            Unit::Seconds,
            self.expires_in.clone(),
        );
        registry.register_with_unit(
            "trust_bundle_age",
            "How long ago the bundle of a trust domain was confirmed by its source",
            Unit::Seconds,
            self.age.clone(),
        );
        registry.register(
            "identity_rotations",
            "Times that an SVID of ours or a trust bundle was replaced",
            self.rotations.clone(),
        );
        registry.register(
            "identity_source_failures",
            "Times that a source of identities or bundles gave nothing usable, by reason",
            self.failures.clone(),
        );
        registry.register(
            "identity_doors_closed",
            "1 while the doors are closed because our identity is out of date",
            self.closed.clone(),
        );
        for kind in ["svid", "trust_bundle"] {
            drop(self.rotations.get_or_create(&KindLabels { kind }));
        }
    }

    /// What is true now.
    pub fn show(
        &self,
        svids: &BTreeMap<&'static str, Duration>,
        own: (&TrustDomain, Duration),
        federated: &BTreeMap<TrustDomain, Duration>,
    ) {
        for (door, left) in svids {
            self.expires_in.get_or_create(&DoorLabels { door }).set(left.as_secs_f64());
        }
        let (domain, age) = own;
        for (domain, age) in federated.iter().chain([(domain, &age)]) {
            self.age.get_or_create(&DomainLabels { trust_domain: domain.to_string() }).set(age.as_secs_f64());
        }
    }

    /// Something changed.
    pub fn told(&self, news: &News) {
        let rotated = |kind| {
            self.rotations.get_or_create(&KindLabels { kind }).inc();
        };
        match news {
            News::SvidRotated { .. } => rotated("svid"),
            News::BundleRotated { .. } => rotated("trust_bundle"),
            News::FederatedDropped { domain, .. } => {
                self.age.remove(&DomainLabels { trust_domain: domain.to_string() });
            }
            News::Closed(_) => {
                self.closed.set(1);
            }
            News::Opened => {
                self.closed.set(0);
            }
        }
    }

    /// A source gave nothing usable.
    pub fn source_failed(&self, source: &str, reason: &'static str) {
        self.failures.get_or_create(&FailureLabels { source: source.to_owned(), reason }).inc();
    }
}
