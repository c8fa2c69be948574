//! The tasks that send the ledger to sinks, one a sink, and the look at how far behind they are.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use super::{Core, Mode};
use crate::adapters::sinks;
use crate::config::Config;
use crate::service::ports::StoreError;
use crate::service::shipping::{Place, Shipper, ShipperPorts, Step};

/// How often the ledger is looked at when nothing seems to happen; also the pause after a failure of the store.
const LOOK_MILLIS: u64 = 1000;
/// How often sinks are held against their bounds.
const JUDGE_EVERY: Duration = Duration::from_millis(250);
/// How long a stop waits for what was just written to reach the sinks.
const LAST_ROUND: Duration = Duration::from_secs(2);

/// What a start would refuse about sinks.
pub(super) fn check(config: &Config, mode: Mode) -> anyhow::Result<()> {
    let opened = |sink| sinks::open(sink, &writer(config, mode), config.dev).map(drop);
    Ok(config.sinks.iter().try_for_each(opened)?)
}

/// How envelopes name the log: its origin.
fn writer(config: &Config, mode: Mode) -> String {
    format!("{}/{}", config.trust_domain, mode.log_name())
}

/// Gives every sink its place and holds it against its bound, before a door opens.
pub(super) async fn join(core: &Core, mode: Mode) -> anyhow::Result<Vec<(Arc<Shipper>, Place)>> {
    let mut joined = Vec::new();
    for config in &core.config.sinks {
        let sink = sinks::open(config, &writer(&core.config, mode), core.config.dev)?;
        let metrics = core.metrics.sinks().clone();
        let shipper = Shipper {
            sink: config.name.clone(),
            events: config.events.clone(),
            start: config.start,
            limits: config.limits,
            backoff: config.backoff,
            bound: config.bound,
            ports: ShipperPorts {
                log: core.sqlite.clone(),
                ledger: core.store.clone(),
                sink,
                gate: Arc::clone(&core.gate),
                clock: core.clock.clone(),
                entropy: core.entropy.clone(),
                observer: Arc::new(move |sink, shipped| metrics.shipped(sink, shipped)),
            },
            progress: Default::default(),
        };
        let place = shipper.join().await.with_context(|| format!("sink `{}`", config.name))?;
        judge(core, &shipper).await;
        joined.push((Arc::new(shipper), place));
    }
    Ok(joined)
}

/// Starts the tasks.
pub(super) fn start(
    core: &Arc<Core>,
    joined: Vec<(Arc<Shipper>, Place)>,
    stopping: &watch::Receiver<bool>,
    tasks: &mut JoinSet<()>,
) {
    for (shipper, mut place) in joined {
        let (looking, core, stop) = (Arc::clone(&shipper), Arc::clone(core), stopping.clone());
        tasks.spawn(until(stop, async move {
            let mut ticks = interval(JUDGE_EVERY);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                judge(&core, &looking).await;
            }
        }));
        let stop = stopping.clone();
        tasks.spawn(async move {
            // What is under way when the process stops is delivered again by the next one, under the same ids.
            until(stop, ship(&shipper, &mut place)).await;
            let _ = timeout(LAST_ROUND, last_round(&shipper, &mut place)).await;
            if let Err(error) = shipper.keep(&mut place).await {
                tracing::warn!(sink.name = shipper.sink, %error, "the place of a sink was not kept; some entries come again");
            }
        });
    }
}

async fn until(mut stopping: watch::Receiver<bool>, job: impl Future<Output = ()>) {
    tokio::select! {
        () = job => {}
        _ = stopping.wait_for(|stop| *stop) => {}
    }
}

async fn ship(shipper: &Shipper, place: &mut Place) {
    let mut fault = None;
    loop {
        match shipper.step(place).await {
            Ok(step) => {
                tell(shipper, &mut fault);
                match step {
                    Step::More => {}
                    Step::Idle => shipper.wait(place, LOOK_MILLIS).await,
                    Step::Pause(pause) => sleep(pause).await,
                }
            }
            Err(error) => wait_for_the_store(shipper, &error).await,
        }
    }
}

/// What is written when the services stop is sent too, as long as that goes well.
async fn last_round(shipper: &Shipper, place: &mut Place) {
    while let Ok(step) = shipper.step(place).await {
        match step {
            Step::More if shipper.last_fault().is_none() => {}
            Step::Pause(pause) if shipper.last_fault().is_none() => sleep(pause).await,
            _ => return,
        }
    }
}

/// Says once what goes wrong, and once that it does not any more.
fn tell(shipper: &Shipper, known: &mut Option<String>) {
    let fault = shipper.last_fault();
    if fault != *known {
        match &fault {
            Some(fault) => tracing::warn!(sink.name = shipper.sink, sink.fault = fault, "a sink is not taking entries"),
            None => tracing::info!(sink.name = shipper.sink, "a sink takes entries again"),
        }
        *known = fault;
    }
}

async fn wait_for_the_store(shipper: &Shipper, error: &StoreError) {
    tracing::warn!(sink.name = shipper.sink, %error, "a sink waits for the store");
    sleep(Duration::from_millis(LOOK_MILLIS)).await;
}

async fn judge(core: &Core, shipper: &Shipper) {
    let beyond = match shipper.judge().await {
        Ok(beyond) => beyond,
        Err(error) => {
            tracing::warn!(sink.name = shipper.sink, %error, "that a sink is behind could not be put on record; tried again");
            return;
        }
    };
    core.metrics.sinks().behind(&shipper.sink, shipper.lag(), beyond);
}
