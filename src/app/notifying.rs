//! The tasks that tell endpoints of challenges, one an endpoint, in the process that has AgentAuth.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context as _;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Duration, sleep};

use super::Core;
use crate::adapters::notify::Webhooks;
use crate::service::notifier::{Notifier, NotifierPorts, RetrySchedule};
use crate::service::ports::Outbox;

/// How often the ledger is looked at when nothing seems to happen; also the pause after a failure of the store.
const LOOK_EVERY_MILLIS: u64 = 1000;

/// Gives every endpoint its place before a door opens: a new one misses nothing that happens from then on.
pub(super) async fn join(core: &Core, webhooks: Option<&Arc<Webhooks>>) -> anyhow::Result<()> {
    if webhooks.is_none() {
        return Ok(());
    }
    for endpoint in &core.config.notify.endpoints {
        let outbox: &dyn Outbox = core.sqlite.as_ref();
        outbox.join(&endpoint.name).await.with_context(|| format!("notify endpoint `{}`", endpoint.name))?;
    }
    Ok(())
}

/// Starts the tasks. `door` is where AgentAuth listens, the link of those who configure none.
pub(super) fn start(
    core: &Arc<Core>,
    webhooks: &Arc<Webhooks>,
    door: SocketAddr,
    stopping: &watch::Receiver<bool>,
    tasks: &mut JoinSet<()>,
) {
    let config = &core.config.notify;
    for endpoint in &config.endpoints {
        let metrics = core.metrics.clone();
        let notifier = Notifier {
            endpoint: endpoint.name.clone(),
            events: endpoint.events.clone(),
            link: config.link.clone().unwrap_or_else(|| format!("https://{door}")),
            schedule: RetrySchedule { pauses: config.retry.clone(), max_age: config.max_age },
            ports: NotifierPorts {
                outbox: core.sqlite.clone(),
                challenges: core.store.clone(),
                notify: webhooks.clone(),
                clock: core.clock.clone(),
                entropy: core.entropy.clone(),
                observer: Arc::new(move |endpoint, outcome| metrics.notified(endpoint, outcome)),
            },
        };
        let (core, mut stopping) = (Arc::clone(core), stopping.clone());
        tasks.spawn(async move {
            // What is under way when the process stops is delivered again by the next one, under the same id.
            tokio::select! {
                () = tell(&notifier, &core) => {}
                _ = stopping.wait_for(|stop| *stop) => {}
            }
        });
    }
}

async fn tell(notifier: &Notifier, core: &Core) {
    let mut place = None;
    loop {
        let round = match &mut place {
            Some(place) => notifier.round(place).await.map(Some),
            None => notifier.join().await.map(|joined| {
                place = Some(joined);
                None
            }),
        };
        match round {
            Ok(None) => {}
            Ok(Some(round)) => {
                core.metrics.notify_lag(&notifier.endpoint, round.lag);
                if !round.busy {
                    notifier.wait(LOOK_EVERY_MILLIS).await;
                }
            }
            Err(error) => {
                tracing::warn!(notify.endpoint = notifier.endpoint, %error, "notifications wait for the store");
                sleep(Duration::from_millis(LOOK_EVERY_MILLIS)).await;
            }
        }
    }
}
