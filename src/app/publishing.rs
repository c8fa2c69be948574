//! The tasks that bring checkpoints out of the database, one a place.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::Core;
use crate::adapters::checkpoint_file::AppendedFile;
use crate::adapters::witness::{HttpWitness, WitnessSetupError};
use crate::config::Config;
use crate::service::ports::{Clock as _, PublishError, Witness};
use crate::service::publisher::{Place, Publisher, pause};

/// How long a stop waits for all places together.
const LAST_ROUND: Duration = Duration::from_secs(10);

/// Clients of the configured witnesses; nothing is sent yet.
pub(super) fn witnesses(config: &Config) -> Result<Vec<Arc<HttpWitness>>, WitnessSetupError> {
    config.ledger.witnesses.iter().map(|witness| HttpWitness::new(witness, config.dev).map(Arc::new)).collect()
}

/// Where checkpoints go.
pub(super) fn places(core: &Core, witnesses: Vec<Arc<HttpWitness>>) -> Vec<Publisher> {
    let file = core.config.ledger.checkpoint_file.clone();
    let file = file.map(|path| Place::File(Arc::new(AppendedFile::new(path, core.sqlite.verifier().clone()))));
    let witnesses = witnesses.into_iter().map(|witness| Place::Witness(witness as Arc<dyn Witness>));
    file.into_iter().chain(witnesses).map(|place| Publisher { place, log: core.sqlite.clone() }).collect()
}

/// Starts the tasks; the first round is at once, so that a witness hears of a crash's end.
pub(super) fn start(
    core: &Arc<Core>,
    publishers: &[Publisher],
    stopping: &watch::Receiver<bool>,
    tasks: &mut JoinSet<()>,
) {
    for publisher in publishers {
        let (core, publisher, mut stopping) = (Arc::clone(core), publisher.clone(), stopping.clone());
        tasks.spawn(async move {
            // What is under way when the process stops is handed in again by the last round.
            tokio::select! {
                () = publish(&core, &publisher) => {}
                _ = stopping.wait_for(|stop| *stop) => {}
            }
        });
    }
}

async fn publish(core: &Core, publisher: &Publisher) {
    let interval = core.config.ledger.checkpoint_interval;
    let mut failures = 0;
    loop {
        failures = if round(core, publisher).await { 0 } else { u32::saturating_add(failures, 1) };
        sleep(if failures == 0 { interval } else { pause(failures) }).await;
    }
}

/// The last checkpoint of this process, to every place at once; who does not answer in time is told by the next start.
pub(super) async fn finish(core: &Arc<Core>, publishers: &[Publisher]) {
    let mut rounds = JoinSet::new();
    for publisher in publishers {
        let (core, publisher) = (Arc::clone(core), publisher.clone());
        rounds.spawn(async move { round(&core, &publisher).await });
    }
    if timeout(LAST_ROUND, async { while rounds.join_next().await.is_some() {} }).await.is_err() {
        tracing::warn!("not every place has the last checkpoint; the next start hands it in");
    }
}

/// Whether the place has the newest checkpoint now.
async fn round(core: &Core, publisher: &Publisher) -> bool {
    let (place, metrics) = (publisher.place.name(), core.metrics.publishing());
    match publisher.round().await {
        Ok(published) => {
            metrics.published(place, published.size, published.new, core.clock.now());
            return true;
        }
        Err(error @ PublishError::Contradicted { .. }) => {
            metrics.ended(place, "contradicted");
            tracing::error!(ledger.place = place, %error, "the log contradicts a checkpoint that left it before");
        }
        Err(error) => {
            metrics.ended(place, "failed");
            tracing::warn!(ledger.place = place, %error, "the newest checkpoint did not leave the database; tried again");
        }
    }
    false
}
