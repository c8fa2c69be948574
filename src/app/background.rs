//! What runs beside the doors: the clock that expires challenges, the memory of burned mandates, the count of refused
//! connections.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use super::Core;
use crate::domain::ledger::{EventType, Subject};
use crate::domain::spiffe::TrustDomain;
use crate::service::issuer::Issuer;
use crate::service::ports::{Clock as _, Ledger as _};

/// How often overdue challenges are looked for.
const EXPIRY_EVERY: Duration = Duration::from_secs(1);
/// How often mandates that cannot verify any more are forgotten.
const PRUNE_EVERY: Duration = Duration::from_secs(60);
/// How much longer than a mandate verifies it is remembered: who sets the clock forth by an hour, and back, must not make
/// a spent mandate good again.
const CLOCK_SLACK: Duration = Duration::from_secs(7200);
/// How often what waits is looked at for the metrics.
const WAITING_EVERY: Duration = Duration::from_secs(5);
/// How often refused connections are written down.
const HANDSHAKES_EVERY: Duration = Duration::from_secs(1);

pub(super) fn start(
    core: &Arc<Core>,
    issuer: Option<Arc<Issuer>>,
    handshakes: &Arc<HandshakeFailures>,
    stopping: watch::Receiver<bool>,
) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    if let Some(issuer) = issuer {
        tasks.spawn(every(EXPIRY_EVERY, stopping.clone(), move || {
            let issuer = Arc::clone(&issuer);
            async move {
                if let Err(refusal) = issuer.expire_overdue().await {
                    tracing::warn!(reason = refusal.reason, "overdue challenges could not be expired; tried again");
                }
            }
        }));
    }
    let pruned = Arc::clone(core);
    tasks.spawn(every(PRUNE_EVERY, stopping.clone(), move || {
        let core = Arc::clone(&pruned);
        async move {
            if let Err(error) = core.store.prune_burned(core.clock.now().minus(CLOCK_SLACK)).await {
                tracing::warn!(error = %error, "burned mandates could not be pruned; tried again");
            }
        }
    }));
    let seen = Arc::clone(core);
    tasks.spawn(every(WAITING_EVERY, stopping.clone(), move || {
        let core = Arc::clone(&seen);
        async move { see_what_waits(&core).await }
    }));
    let (core, handshakes) = (Arc::clone(core), Arc::clone(handshakes));
    tasks.spawn(every(HANDSHAKES_EVERY, stopping, move || {
        let (core, handshakes) = (Arc::clone(&core), Arc::clone(&handshakes));
        async move { handshakes.flush(&core).await }
    }));
    tasks
}

async fn see_what_waits(core: &Core) {
    let metrics = core.metrics.waiting();
    if let Ok(checkpoint) = core.store.checkpoint().await {
        metrics.ledger(core.sqlite.queue_depth(), checkpoint.size());
    }
    match core.sqlite.reader().pending_challenges().await {
        Ok((pending, oldest)) => metrics.challenges(pending, oldest, core.clock.now()),
        Err(error) => tracing::warn!(error = %error, "pending challenges could not be counted; tried again"),
    }
}

/// Does `job` at an interval, until the process stops.
pub(super) async fn every<F: Future<Output = ()>>(
    period: Duration,
    mut stopping: watch::Receiver<bool>,
    job: impl Fn() -> F,
) {
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => job().await,
            _ = stopping.changed() => return,
        }
    }
}

/// Connections that were refused before a request: counted exactly, written down once a second by reason, so that a
/// flood cannot fill the disk.
#[derive(Debug, Default)]
pub(super) struct HandshakeFailures(Mutex<BTreeMap<Refused, u64>>);

/// Why, and of which trust domain, where that is known. The trust domains are the configuration's.
type Refused = (&'static str, Option<TrustDomain>);

impl HandshakeFailures {
    pub(super) fn count(&self, reason: &'static str, of: Option<TrustDomain>) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry((reason, of)).or_default();
        *count = count.saturating_add(1);
    }

    /// Writes the counts down; what cannot be written is counted on.
    pub(super) async fn flush(&self, core: &Core) {
        let counts = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        for ((reason, of), count) in counts {
            let mut subject = Subject { allow: Some(false), reason: Some(reason.to_owned()), ..Subject::default() };
            subject.detail.insert("count".to_owned(), count.to_string());
            subject.detail.extend(of.iter().map(|domain| ("trust_domain".to_owned(), domain.to_string())));
            if core.store.record(core.entry(EventType::AuthenticationFailed, subject)).await.is_err() {
                let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
                let again = counts.entry((reason, of)).or_default();
                *again = again.saturating_add(count);
            }
        }
    }
}
