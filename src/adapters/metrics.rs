//! Metrics, in one registry. No label carries an agent, a `jti` or a path: every label's values are a closed list.

mod connectors;
mod described;
mod identity;
mod policy;
mod publishing;
mod sinks;
mod waiting;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use self::described::Described;
use crate::domain::approval::{Challenge, Summary};
use crate::domain::id::{ChallengeId, DecisionId};
use crate::domain::ledger::{CallKey, Checkpoint, Entry, EventType, Openings, Outcome, Receipt};
use crate::domain::leg::Withdrawal;
use crate::domain::time::Timestamp;
use crate::service::notifier::DeliveryOutcome;
use crate::service::ports::{
    AdvanceError, AllowedCalls, AuditLog, AuditPage, AuditQuestion, Burn, BurnError, ChallengeQuery, Challenges,
    EntryFilter, Ledger, StoreError, Stored, Viewer, WithdrawalStore,
};

pub use connectors::ConnectorMetrics;
pub use identity::IdentityMetrics;
pub use policy::PolicyMetrics;
pub use publishing::PublishingMetrics;
pub use sinks::SinkMetrics;
pub use waiting::WaitingMetrics;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EventLabels {
    event_type: &'static str,
    allow: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabels {
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabels {
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReadLabels {
    result: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    door: &'static str,
    route: String,
    status: String,
}

/// Endpoint names are the operator's configuration, at most 16.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EndpointLabels {
    endpoint: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DeliveryLabels {
    endpoint: String,
    outcome: &'static str,
}

/// The metrics of one process.
#[derive(Clone)]
pub struct Metrics {
    registry: Arc<Registry>,
    series: Arc<[String]>,
    events: Family<EventLabels, Counter>,
    outcomes: Family<OutcomeLabels, Counter>,
    refused_writes: Counter,
    audit_reads: Family<ReadLabels, Counter>,
    handshake_failures: Family<ReasonLabels, Counter>,
    requests: Family<RequestLabels, Histogram>,
    commit: Histogram,
    group: Histogram,
    deliveries: Family<DeliveryLabels, Counter>,
    dead: Counter,
    lag: Family<EndpointLabels, Gauge<f64, AtomicU64>>,
    policy: PolicyMetrics,
    waiting: WaitingMetrics,
    publishing: PublishingMetrics,
    sinks: SinkMetrics,
    connectors: ConnectorMetrics,
    identity: IdentityMetrics,
}

impl Metrics {
    /// A registry with every metric of ours, under the name `atb_…`.
    pub fn new(version: &str) -> Self {
        let mut registry = Described::new();
        registry.register(
            "build",
            "The version that runs",
            Info::new(vec![("version".to_owned(), version.to_owned())]),
        );
        let seconds = || Histogram::new(exponential_buckets(0.000_1, 2.0, 16));
        let metrics = Self {
            events: Family::default(),
            outcomes: Family::default(),
            refused_writes: Counter::default(),
            audit_reads: Family::default(),
            handshake_failures: Family::default(),
            requests: Family::new_with_constructor(|| Histogram::new(exponential_buckets(0.000_25, 2.0, 15))),
            commit: seconds(),
            group: Histogram::new(exponential_buckets(1.0, 2.0, 11)),
            deliveries: Family::default(),
            dead: Counter::default(),
            lag: Family::default(),
            policy: PolicyMetrics::default(),
            waiting: WaitingMetrics::default(),
            publishing: PublishingMetrics::default(),
            sinks: SinkMetrics::default(),
            connectors: ConnectorMetrics::default(),
            identity: IdentityMetrics::default(),
            registry: Arc::default(),
            series: Arc::from([]),
        };
        metrics.policy.register(&mut registry);
        metrics.waiting.register(&mut registry);
        metrics.publishing.register(&mut registry);
        metrics.sinks.register(&mut registry);
        metrics.connectors.register(&mut registry);
        metrics.identity.register(&mut registry);
        registry.register(
            "notify_deliveries",
            "Attempts to tell an endpoint, by how they ended",
            metrics.deliveries.clone(),
        );
        registry.register("notify_dead", "Notifications that were given up", metrics.dead.clone());
        registry.register_with_unit(
            "notify_lag",
            "Age of the oldest event that an endpoint is still to be told of",
            Unit::Seconds,
            metrics.lag.clone(),
        );
        registry.register("events", "Ledger entries written, by kind and verdict", metrics.events.clone());
        registry.register("connector_outcomes", "Calls to connectors, by how they ended", metrics.outcomes.clone());
        registry.register(
            "ledger_refused_writes",
            "Writes that the ledger did not take (queue full or store unavailable)",
            metrics.refused_writes.clone(),
        );
        registry.register(
            "audit_reads",
            "Pages of the record that auditors asked a door for, by whether they were answered",
            metrics.audit_reads.clone(),
        );
        registry.register(
            "handshake_failures",
            "Connections refused before a request, by reason",
            metrics.handshake_failures.clone(),
        );
        registry.register_with_unit(
            "http_request_duration",
            "From the head of a request to the head of its answer",
            Unit::Seconds,
            metrics.requests.clone(),
        );
        registry.register_with_unit(
            "ledger_commit",
            "One durable commit of a group",
            Unit::Seconds,
            metrics.commit.clone(),
        );
        registry.register("ledger_group_size", "Requests in one commit", metrics.group.clone());
        let (registry, series) = registry.into_parts();
        Self { registry: Arc::new(registry), series: Arc::from(series), ..metrics }
    }

    /// Those of what waits.
    pub fn waiting(&self) -> &WaitingMetrics {
        &self.waiting
    }

    /// Those of the policy.
    pub fn policy(&self) -> &PolicyMetrics {
        &self.policy
    }

    /// Those of checkpoints that leave the database.
    pub fn publishing(&self) -> &PublishingMetrics {
        &self.publishing
    }

    /// Those of connectors and fair shares.
    pub fn connectors(&self) -> &ConnectorMetrics {
        &self.connectors
    }

    /// Those of sinks.
    pub fn sinks(&self) -> &SinkMetrics {
        &self.sinks
    }

    /// Those of our identity and the bundles.
    pub fn identity(&self) -> &IdentityMetrics {
        &self.identity
    }

    /// The names of all series that there can be, those too of which there is no sample yet.
    pub fn series(&self) -> &[String] {
        &self.series
    }

    /// The OpenMetrics text.
    pub fn encode(&self) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = prometheus_client::encoding::text::encode(&mut text, &self.registry);
        text
    }

    /// One group was committed.
    pub fn committed(&self, requests: u64, took: Duration) {
        self.commit.observe(took.as_secs_f64());
        #[expect(clippy::cast_precision_loss, reason = "a group has at most some hundred requests")]
        self.group.observe(requests as f64);
    }

    /// A connection was refused before a request.
    pub fn handshake_failed(&self, reason: &'static str) {
        self.handshake_failures.get_or_create(&ReasonLabels { reason }).inc();
    }

    /// An attempt to tell an endpoint ended.
    pub fn notified(&self, endpoint: &str, outcome: DeliveryOutcome) {
        let labels = DeliveryLabels { endpoint: endpoint.to_owned(), outcome: outcome.as_str() };
        self.deliveries.get_or_create(&labels).inc();
        if outcome == DeliveryOutcome::Dead {
            self.dead.inc();
            // Its entry is written together with the queue, past the store that counts.
            let event_type = EventType::NotificationDead.as_str();
            self.events.get_or_create(&EventLabels { event_type, allow: "none" }).inc();
        }
    }

    /// How far an endpoint is behind.
    pub fn notify_lag(&self, endpoint: &str, lag: Duration) {
        self.lag.get_or_create(&EndpointLabels { endpoint: endpoint.to_owned() }).set(lag.as_secs_f64());
    }

    fn written(&self, entry: &Written) {
        self.events.get_or_create(&entry.labels).inc();
        if let Some(outcome) = entry.outcome {
            self.outcomes.get_or_create(&OutcomeLabels { outcome: outcome.as_str() }).inc();
        }
    }
}

/// Times requests by route template, never by path.
pub async fn time_requests(
    State((metrics, door)): State<(Metrics, &'static str)>,
    request: Request,
    next: Next,
) -> Response {
    let route = request.extensions().get::<MatchedPath>().map_or("unmatched", MatchedPath::as_str).to_owned();
    let started = Instant::now();
    let response = next.run(request).await;
    let labels = RequestLabels { door, route, status: response.status().as_str().to_owned() };
    metrics.requests.get_or_create(&labels).observe(started.elapsed().as_secs_f64());
    response
}

/// What of an entry is counted, taken before the entry is handed over.
struct Written {
    labels: EventLabels,
    outcome: Option<Outcome>,
}

impl Written {
    fn of(entry: &Entry) -> Self {
        let allow = entry.subject.allow.map_or("none", |allow| if allow { "true" } else { "false" });
        Self { labels: EventLabels { event_type: entry.event_type.as_str(), allow }, outcome: entry.subject.outcome }
    }
}

/// A store whose writes are counted once they are durable.
pub struct Metered<S> {
    inner: Arc<S>,
    metrics: Metrics,
}

impl<S> Metered<S> {
    /// Counts the writes of `inner`.
    pub fn new(inner: Arc<S>, metrics: Metrics) -> Self {
        Self { inner, metrics }
    }

    fn count<T, E>(&self, written: &Written, result: &Result<T, E>) {
        match result {
            Ok(_) => self.metrics.written(written),
            Err(_) => drop(self.metrics.refused_writes.inc()),
        }
    }
}

#[async_trait]
impl<S: AuditLog> AuditLog for Metered<S> {
    async fn page(&self, question: &AuditQuestion) -> Result<AuditPage, StoreError> {
        let page = self.inner.page(question).await;
        let result = if page.is_ok() { "ok" } else { "failed" };
        self.metrics.audit_reads.get_or_create(&ReadLabels { result }).inc();
        page
    }
}

#[async_trait]
impl<S: Ledger> Ledger for Metered<S> {
    async fn record(&self, entry: Entry) -> Result<Receipt, StoreError> {
        let written = Written::of(&entry);
        let result = self.inner.record(entry).await;
        self.count(&written, &result);
        result
    }

    async fn burn_and_record(&self, burn: Burn, spent: Entry, replayed: Entry) -> Result<Receipt, BurnError> {
        let (if_spent, if_replayed) = (Written::of(&spent), Written::of(&replayed));
        let result = self.inner.burn_and_record(burn, spent, replayed).await;
        match &result {
            Ok(_) => self.metrics.written(&if_spent),
            Err(BurnError::Replayed(_)) => self.metrics.written(&if_replayed),
            Err(BurnError::Store(_)) => drop(self.metrics.refused_writes.inc()),
        }
        result
    }

    async fn record_unmandated(&self, decision: DecisionId, allowed: Entry) -> Result<Receipt, StoreError> {
        let written = Written::of(&allowed);
        let result = self.inner.record_unmandated(decision, allowed).await;
        self.count(&written, &result);
        result
    }

    async fn record_outcome(&self, call: CallKey, outcome: Entry) -> Result<Receipt, StoreError> {
        let written = Written::of(&outcome);
        let result = self.inner.record_outcome(call, outcome).await;
        self.count(&written, &result);
        result
    }

    async fn calls_in_doubt(&self) -> Result<Vec<(CallKey, Entry)>, StoreError> {
        self.inner.calls_in_doubt().await
    }

    async fn allowed_calls(&self, since: Timestamp, now: Timestamp) -> Result<Vec<AllowedCalls>, StoreError> {
        self.inner.allowed_calls(since, now).await
    }

    async fn prune_burned(&self, now: Timestamp) -> Result<u64, StoreError> {
        self.inner.prune_burned(now).await
    }

    async fn checkpoint(&self) -> Result<Checkpoint, StoreError> {
        self.inner.checkpoint().await
    }

    async fn entries(&self, from: u64, limit: u32, filter: &EntryFilter) -> Result<Vec<(u64, Vec<u8>)>, StoreError> {
        self.inner.entries(from, limit, filter).await
    }

    async fn openings(&self, first: u64, last: u64) -> Result<BTreeMap<u64, Openings>, StoreError> {
        self.inner.openings(first, last).await
    }

    async fn writable(&self) -> Result<(), StoreError> {
        self.inner.writable().await
    }
}

#[async_trait]
impl<S: WithdrawalStore> WithdrawalStore for Metered<S> {
    async fn withdraw(&self, withdrawal: &Withdrawal, entry: Entry) -> Result<Receipt, AdvanceError> {
        let written = Written::of(&entry);
        let result = self.inner.withdraw(withdrawal, entry).await;
        if !matches!(result, Err(AdvanceError::Conflict)) {
            self.count(&written, &result);
        }
        result
    }

    async fn withdrawals(&self) -> Result<Vec<Withdrawal>, StoreError> {
        self.inner.withdrawals().await
    }

    async fn recorded_withdrawals(&self) -> Result<Vec<Entry>, StoreError> {
        self.inner.recorded_withdrawals().await
    }
}

#[async_trait]
impl<S: Challenges> Challenges for Metered<S> {
    async fn open(&self, challenge: &Challenge, entry: Entry) -> Result<Receipt, AdvanceError> {
        let written = Written::of(&entry);
        let result = self.inner.open(challenge, entry).await;
        if !matches!(result, Err(AdvanceError::Conflict)) {
            self.count(&written, &result);
        }
        result
    }

    async fn find(&self, id: ChallengeId) -> Result<Option<Stored<Challenge>>, StoreError> {
        self.inner.find(id).await
    }

    async fn advance(&self, version: u64, next: &Challenge, entry: Entry) -> Result<Receipt, AdvanceError> {
        let written = Written::of(&entry);
        let result = self.inner.advance(version, next, entry).await;
        if !matches!(result, Err(AdvanceError::Conflict)) {
            self.count(&written, &result);
        }
        result
    }

    async fn succeed(
        &self,
        version: u64,
        earlier: &Challenge,
        next: &Challenge,
        entry: Entry,
    ) -> Result<Receipt, AdvanceError> {
        let written = Written::of(&entry);
        let result = self.inner.succeed(version, earlier, next, entry).await;
        if !matches!(result, Err(AdvanceError::Conflict)) {
            self.count(&written, &result);
        }
        result
    }

    async fn overdue(&self, now: Timestamp, limit: u32) -> Result<Vec<Stored<Challenge>>, StoreError> {
        self.inner.overdue(now, limit).await
    }

    async fn list(&self, query: &ChallengeQuery) -> Result<Vec<Stored<Summary>>, StoreError> {
        self.inner.list(query).await
    }

    async fn turns(&self, from: u64, limit: u32, viewer: &Viewer) -> Result<Vec<(u64, Entry, Summary)>, StoreError> {
        self.inner.turns(from, limit, viewer).await
    }

    async fn moved(&self, entries: u64, millis: u64) {
        self.inner.moved(entries, millis).await;
    }

    async fn changed(&self, id: ChallengeId, version: u64, millis: u64) {
        self.inner.changed(id, version, millis).await;
    }
}
