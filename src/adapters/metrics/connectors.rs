//! How the connectors are, and what is refused before anything is asked. Connector names are the operator's
//! configuration, at most 256.

use std::sync::atomic::{AtomicI64, AtomicU64};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;

use super::described::Described;
use crate::adapters::connectors::CircuitState;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ConnectorLabels {
    connector: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabels {
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResultLabels {
    result: &'static str,
}

/// The metrics of connectors and fair shares.
#[derive(Clone, Default)]
pub struct ConnectorMetrics {
    circuit: Family<ConnectorLabels, Gauge<i64, AtomicI64>>,
    opened: Family<ConnectorLabels, Counter<u64, AtomicU64>>,
    loads: Family<ResultLabels, Counter>,
    throttled: Family<ReasonLabels, Counter>,
}

impl ConnectorMetrics {
    pub(super) fn register(&self, registry: &mut Described) {
        registry.register(
            "connector_circuit_state",
            "What a connector's circuit lets through: 0 everything, 1 one call to see, 2 nothing",
            self.circuit.clone(),
        );
        registry.register("connector_circuit_opened", "How often a connector's circuit opened", self.opened.clone());
        registry.register(
            "connector_loads",
            "Times that connector files were looked at anew and had changed",
            self.loads.clone(),
        );
        registry.register(
            "requests_throttled",
            "Connections and requests refused because one identity had too many, by reason",
            self.throttled.clone(),
        );
    }

    /// How a circuit is, and how often it has opened in all.
    pub fn circuit(&self, connector: &str, state: CircuitState, opened: u64) {
        let labels = ConnectorLabels { connector: connector.to_owned() };
        let value = match state {
            CircuitState::Closed => 0,
            CircuitState::HalfOpen => 1,
            CircuitState::Open => 2,
        };
        self.circuit.get_or_create(&labels).set(value);
        let counter = self.opened.get_or_create(&labels);
        // A connector that was loaded anew may count from nothing; a counter never falls.
        counter.inc_by(opened.saturating_sub(counter.get()));
    }

    /// Changed files were put in force, or refused.
    pub fn loaded(&self, activated: bool) {
        let result = if activated { "activated" } else { "refused" };
        self.loads.get_or_create(&ResultLabels { result }).inc();
    }

    /// So many were refused.
    pub fn throttled(&self, reason: &'static str, count: u64) {
        self.throttled.get_or_create(&ReasonLabels { reason }).inc_by(count);
    }
}
