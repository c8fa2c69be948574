//! What becomes of bundles, and how a candidate's answers compare.

use std::sync::atomic::AtomicI64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Unit;

use super::described::Described;
use crate::domain::time::Timestamp;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RoleLabels {
    role: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RefusalLabels {
    role: &'static str,
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct VerdictLabels {
    question: &'static str,
    agreement: &'static str,
}

type Seconds = Gauge<i64, AtomicI64>;

/// The metrics of the policy in force and of a candidate.
#[derive(Clone, Default)]
pub struct PolicyMetrics {
    activations: Family<RoleLabels, Counter>,
    refusals: Family<RefusalLabels, Counter>,
    failed_looks: Family<RoleLabels, Counter>,
    last_look: Family<RoleLabels, Seconds>,
    activated_at: Seconds,
    expires_at: Seconds,
    sequence: Gauge,
    verdicts: Family<VerdictLabels, Counter>,
}

impl PolicyMetrics {
    pub(super) fn register(&self, registry: &mut Described) {
        registry.register("policy_activations", "Bundles put in force or tried out", self.activations.clone());
        registry.register("policy_refusals", "Bundles refused, by reason", self.refusals.clone());
        registry.register(
            "policy_failed_looks",
            "Looks at a source of policy that gave nothing",
            self.failed_looks.clone(),
        );
        for (name, help, gauge) in [
            ("policy_activated_timestamp", "When the bundle in force was put in force", self.activated_at.clone()),
            ("policy_expires_timestamp", "When the bundle in force ends; 0 if never", self.expires_at.clone()),
        ] {
            registry.register_with_unit(name, help, Unit::Seconds, gauge);
        }
        registry.register_with_unit(
            "policy_last_look_timestamp",
            "When a source of policy last answered",
            Unit::Seconds,
            self.last_look.clone(),
        );
        registry.register("policy_sequence", "The sequence of the bundle in force; 0 if none", self.sequence.clone());
        registry.register(
            "policy_candidate_verdicts",
            "Questions that a candidate answered too, by how the answers compare",
            self.verdicts.clone(),
        );
    }

    /// A bundle was put in force, or is tried out.
    pub fn activated(&self, role: &'static str) {
        self.activations.get_or_create(&RoleLabels { role }).inc();
    }

    /// A bundle was refused.
    pub fn refused(&self, role: &'static str, reason: &'static str) {
        self.refusals.get_or_create(&RefusalLabels { role, reason }).inc();
    }

    /// A look at a source gave nothing.
    pub fn look_failed(&self, role: &'static str) {
        self.failed_looks.get_or_create(&RoleLabels { role }).inc();
    }

    /// A source answered.
    pub fn looked(&self, role: &'static str, now: Timestamp) {
        self.last_look.get_or_create(&RoleLabels { role }).set(seconds(now));
    }

    /// What is in force.
    pub fn in_force(&self, since: Timestamp, expires_at: Option<Timestamp>, sequence: Option<u64>) {
        self.activated_at.set(seconds(since));
        self.expires_at.set(expires_at.map_or(0, seconds));
        self.sequence.set(sequence.and_then(|number| i64::try_from(number).ok()).unwrap_or(0));
    }

    /// A candidate answered a question too.
    pub fn compared(&self, question: &'static str, agreement: &'static str) {
        self.verdicts.get_or_create(&VerdictLabels { question, agreement }).inc();
    }
}

fn seconds(at: Timestamp) -> i64 {
    i64::try_from(at.as_secs()).unwrap_or(i64::MAX)
}
