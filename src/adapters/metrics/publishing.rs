//! Checkpoints that leave the database. Places are the operator's configuration, at most 17.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;

use super::described::Described;
use crate::domain::time::Timestamp;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PlaceLabels {
    place: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RoundLabels {
    place: String,
    outcome: &'static str,
}

/// The metrics of publishing.
#[derive(Clone, Default)]
pub struct PublishingMetrics {
    rounds: Family<RoundLabels, Counter>,
    size: Family<PlaceLabels, Gauge>,
    at: Family<PlaceLabels, Gauge>,
}

impl PublishingMetrics {
    pub(super) fn register(&self, registry: &mut Described) {
        registry.register(
            "ledger_checkpoints_published",
            "Rounds that were to bring the newest checkpoint to a place, by how they ended",
            self.rounds.clone(),
        );
        registry.register(
            "ledger_checkpoint_published_size",
            "Entries that the checkpoint covers that a place has",
            self.size.clone(),
        );
        registry.register(
            "ledger_checkpoint_published_timestamp_seconds",
            "When a place was last seen to have the newest checkpoint",
            self.at.clone(),
        );
    }

    /// A place has the checkpoint of `size` entries.
    pub fn published(&self, place: &str, size: u64, new: bool, now: Timestamp) {
        let labels = PlaceLabels { place: place.to_owned() };
        self.size.get_or_create(&labels).set(i64::try_from(size).unwrap_or(i64::MAX));
        self.at.get_or_create(&labels).set(i64::try_from(now.as_secs()).unwrap_or(i64::MAX));
        self.ended(place, if new { "published" } else { "unchanged" });
    }

    /// A round ended otherwise: `failed`, or `contradicted`.
    pub fn ended(&self, place: &str, outcome: &'static str) {
        self.rounds.get_or_create(&RoundLabels { place: place.to_owned(), outcome }).inc();
    }
}
