//! How the ledger reaches its sinks. Sink names are the operator's configuration, at most 16.

use std::sync::atomic::{AtomicI64, AtomicU64};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Unit;

use super::described::Described;
use crate::service::shipping::{Lag, Shipped};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SinkLabels {
    sink: String,
}

impl SinkLabels {
    fn of(sink: &str) -> Self {
        Self { sink: sink.to_owned() }
    }
}

/// The metrics of sinks.
#[derive(Clone, Default)]
pub struct SinkMetrics {
    delivered: Family<SinkLabels, Counter>,
    failures: Family<SinkLabels, Counter>,
    lag_records: Family<SinkLabels, Gauge>,
    lag: Family<SinkLabels, Gauge<f64, AtomicU64>>,
    beyond: Family<SinkLabels, Gauge<i64, AtomicI64>>,
}

impl SinkMetrics {
    pub(super) fn register(&self, registry: &mut Described) {
        registry.register("sink_delivered", "Entries that a sink took", self.delivered.clone());
        registry.register("sink_failures", "Batches that a sink did not take", self.failures.clone());
        registry.register("sink_lag_records", "Entries that a sink was not sent yet", self.lag_records.clone());
        registry.register_with_unit(
            "sink_lag",
            "Age of the oldest entry that a sink was not sent yet",
            Unit::Seconds,
            self.lag.clone(),
        );
        registry.register("sink_beyond_bound", "1 while a sink is farther behind than it may be", self.beyond.clone());
    }

    /// An attempt ended.
    pub fn shipped(&self, sink: &str, shipped: Shipped) {
        let labels = SinkLabels::of(sink);
        match shipped {
            Shipped::Delivered(records) => drop(self.delivered.get_or_create(&labels).inc_by(records)),
            Shipped::Failed => drop(self.failures.get_or_create(&labels).inc()),
        }
    }

    /// How far behind a sink is.
    pub fn behind(&self, sink: &str, lag: Lag, beyond: bool) {
        let labels = SinkLabels::of(sink);
        self.lag_records.get_or_create(&labels).set(i64::try_from(lag.records).unwrap_or(i64::MAX));
        self.lag.get_or_create(&labels).set(lag.age.as_secs_f64());
        self.beyond.get_or_create(&labels).set(i64::from(beyond));
        // Both counters are there from the first look on, so that a rule sees their first rise.
        drop(self.delivered.get_or_create(&labels));
        drop(self.failures.get_or_create(&labels));
    }
}
