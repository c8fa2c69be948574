//! What waits: requests for the ledger's writer, and escalations for people.

use std::sync::atomic::AtomicU64;

use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Unit;

use super::described::Described;
use crate::domain::time::Timestamp;

/// The metrics of what waits, as it was when it was last looked at.
#[derive(Clone, Default)]
pub struct WaitingMetrics {
    queue: Gauge,
    entries: Gauge,
    challenges: Gauge,
    oldest: Gauge<f64, AtomicU64>,
}

impl WaitingMetrics {
    pub(super) fn register(&self, registry: &mut Described) {
        registry.register("ledger_queue", "Requests that wait for the ledger's writer", self.queue.clone());
        registry.register("ledger_entries", "Entries that the newest checkpoint covers", self.entries.clone());
        registry.register("challenges_pending", "Challenges that wait for approvals", self.challenges.clone());
        registry.register_with_unit(
            "challenge_wait",
            "Age of the oldest challenge that waits for approvals; 0 if none does",
            Unit::Seconds,
            self.oldest.clone(),
        );
    }

    /// The ledger's queue and size.
    pub fn ledger(&self, queue: usize, entries: u64) {
        self.queue.set(i64::try_from(queue).unwrap_or(i64::MAX));
        self.entries.set(i64::try_from(entries).unwrap_or(i64::MAX));
    }

    /// Challenges that wait, and when the oldest of them was opened.
    pub fn challenges(&self, pending: u64, oldest: Option<Timestamp>, now: Timestamp) {
        self.challenges.set(i64::try_from(pending).unwrap_or(i64::MAX));
        self.oldest.set(oldest.map_or(0.0, |oldest| now.since(oldest).as_secs_f64()));
    }
}
