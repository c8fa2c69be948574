//! The registry, and what is in it by name: a family without a sample is not in the text that a service tells.

use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Metric, Registry, Unit};

const PREFIX: &str = "atb";

/// A registry that remembers the series that it can tell.
#[derive(Debug)]
pub(super) struct Described {
    registry: Registry,
    series: Vec<String>,
}

impl Described {
    pub(super) fn new() -> Self {
        Self { registry: Registry::with_prefix(PREFIX), series: Vec::new() }
    }

    pub(super) fn register(&mut self, name: &str, help: &str, metric: impl Metric) {
        self.describe(name, metric.metric_type());
        self.registry.register(name, help, metric);
    }

    pub(super) fn register_with_unit(&mut self, name: &str, help: &str, unit: Unit, metric: impl Metric) {
        self.describe(&format!("{name}_{}", unit.as_str()), metric.metric_type());
        self.registry.register_with_unit(name, help, unit, metric);
    }

    pub(super) fn into_parts(self) -> (Registry, Vec<String>) {
        (self.registry, self.series)
    }

    /// The names that Prometheus has for a metric of this type (OpenMetrics 1.0 §5).
    fn describe(&mut self, name: &str, kind: MetricType) {
        let suffixes: &[&str] = match kind {
            MetricType::Counter => &["_total"],
            MetricType::Histogram => &["_bucket", "_count", "_sum"],
            MetricType::Info => &["_info"],
            MetricType::Gauge | MetricType::Unknown => &[""],
        };
        self.series.extend(suffixes.iter().map(|suffix| format!("{PREFIX}_{name}{suffix}")));
    }
}
